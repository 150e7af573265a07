/// \file
/// What rank0 and sharded share: they score inside submit(), so nothing is ever in flight.
#pragma once
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "validate/scorer.h"

namespace valbench {

class BlockingStrategy : public ValidationStrategy {
 public:
  /// A rank without the validation set (rank0 placement, rank > 0) has an empty plan.
  explicit BlockingStrategy(const ValidationContext& context)
      : context_(context),
        plan_(context.dataset ? make_scoring_plan(context, context.spec.validation) : ScoringPlan{}) {}

  std::vector<ValidationResult> take_ready() override { return std::exchange(ready_, {}); }
  std::vector<ValidationResult> drain() override { return take_ready(); }

 protected:
  const ValidationContext& context() const { return context_; }
  const ScoringPlan& plan() const { return plan_; }
  SnapshotScorer& scorer() { return *scorer_; }
  /// The batches that this rank scores; without this call it scores none.
  void use_batches(std::vector<BatchPlan> batches) {
    scorer_ = std::make_unique<SnapshotScorer>(context_, plan_, std::move(batches));
  }
  /// Rank 0: merges the ranks' parts and stores the result. With ema: in_place, rounds the EMA as YOLOv5's .half().float() does.
  void finish(const ModelSnapshot& snapshot, std::span<const PartialScore> parts, std::int64_t begin_ns);

 private:
  ValidationContext context_;
  ScoringPlan plan_;
  std::unique_ptr<SnapshotScorer> scorer_;
  std::vector<ValidationResult> ready_;
};

}  // namespace valbench
