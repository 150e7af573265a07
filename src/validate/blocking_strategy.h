/// \file
/// What rank0 and sharded share: the network has scored when submit() returns. So has everything else, or, with score: background, a thread
/// beside training finishes it.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "validate/scorer.h"
#include "validate/scoring_thread.h"
#include "validate/validation_files.h"

namespace valbench {

class BlockingStrategy : public ValidationStrategy {
 public:
  /// A rank without the validation set (rank0 placement, rank > 0) has an empty plan.
  explicit BlockingStrategy(const ValidationContext& context);

  std::vector<ValidationResult> take_ready() override { return beside_ ? beside_->take_ready() : std::exchange(ready_, {}); }
  std::vector<ValidationResult> drain() override { return beside_ ? beside_->drain() : take_ready(); }

 protected:
  const ValidationContext& context() const { return context_; }
  const ScoringPlan& plan() const { return plan_; }
  const ValidationFiles& files() const { return files_; }
  SnapshotScorer& scorer() { return *scorer_; }
  /// The batches that this rank scores; without this call it scores none.
  void use_batches(std::vector<BatchPlan> batches) {
    scorer_ = std::make_unique<SnapshotScorer>(context_, plan_, std::move(batches));
  }
  /// This rank finishes beside training.
  bool finishes_beside() const { return beside_ != nullptr; }
  /// Rank 0: merges the ranks' parts and what they found, and stores the result. With ema: in_place, rounds the EMA as YOLOv5's
  /// .half().float() does.
  void finish(const ModelSnapshot& snapshot, std::vector<PartialScore> parts, FoundDetections found, std::int64_t begin_ns);
  /// The same of this rank's batches alone, which are matched with their labels first. finishes_beside() only.
  void finish_unmatched(const ModelSnapshot& snapshot, UnmatchedScore score, std::int64_t begin_ns);

 private:
  void finish_beside(const ModelSnapshot& snapshot, std::int64_t begin_ns,
                     std::function<void(Tracer&, std::vector<PartialScore>&, FoundDetections&)> take_parts);
  ValidationResult conclude(const ModelSnapshot& snapshot, std::span<const PartialScore> parts, const FoundDetections& found,
                            std::int64_t begin_ns, Tracer& tracer) const;
  void round_in_place(at::Tensor state) const;

  ValidationContext context_;
  ScoringPlan plan_;
  ValidationFiles files_;
  std::unique_ptr<SnapshotScorer> scorer_;
  std::vector<ValidationResult> ready_;
  std::unique_ptr<ScoringThread> beside_;  ///< Rank 0's, with score: background. Last: it ends before what it works with.
};

}  // namespace valbench
