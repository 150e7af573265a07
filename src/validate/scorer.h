/// \file
/// What every strategy on this rank scores with: the snapshot's own model, the validation set and its full batch plan.
#pragma once
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/data_loader.h"
#include "scenario/run_spec.h"
#include "trace/tracer.h"
#include "validate/evaluator.h"
#include "validate/validation_memory.h"
#include "validate/validation_strategy.h"

namespace valbench {

/// Everything a strategy is built from. References outlive the strategy.
struct ValidationContext {
  const RunSpec& spec;
  Communicator& communicator;
  Tracer& tracer;
  std::shared_ptr<const YoloDataset> dataset;  ///< The validation set; null on a rank that never validates.
  const DetectionModel& prototype;             ///< The trained model: configuration and device of the snapshot's model.
  std::optional<DetectionLoss> loss;
  c10::Device device;
  Communicator* world = nullptr;  ///< All ranks, for a strategy of ranks that only validate; `communicator` is that of the trained ones.
  std::stop_token stop = {};  ///< Ends a validation under way with an error.
  class ExactnessEvidence* evidence = nullptr;  ///< Rank 0: told of every merged score; null = nobody checks.
  ValidationMemory memory = {};  ///< For batch_size: max and cache: gpu.
};

/// How to score: the axes that decide the numbers, whoever runs them.
struct ScoringPlan {
  c10::ScalarType dtype = c10::ScalarType::Float;
  std::string precision;  ///< fp32, fp16, bf16
  int batch_size = 32;
  std::vector<BatchPlan> batches;  ///< The full plan, canonical order.
};

/// What the strategy's spec asks for; `automatic` values resolved (YOLOv5: batch 2B/W, fp16 where training uses AMP).
ScoringPlan make_scoring_plan(const ValidationContext& context, const ValidationSpec& spec);
/// The reference for map50_95_delta: every image, fp32, rect, automatic batch size.
ScoringPlan make_reference_plan(const ValidationContext& context);

/// Threads that match detections and compute metrics.
inline int score_threads(const RunSpec& spec) {
  return spec.validation.score_threads > 0 ? spec.validation.score_threads : spec.torch_threads;
}

/// A score whose detections have not been matched with their labels yet.
struct UnmatchedScore {
  PartialScore score;  ///< Losses and pixels.
  std::vector<UnmatchedBatch> batches;
};

/// A model instance of its own that snapshots are loaded into, and a loader over some of the plan's batches.
class SnapshotScorer {
 public:
  /// \param batches this rank's share of plan.batches.
  SnapshotScorer(const ValidationContext& context, const ScoringPlan& plan, std::vector<BatchPlan> batches);
  ~SnapshotScorer();

  /// Copies a flat float32 state (ParameterStore order) into the model, rounding to the plan's dtype.
  void load(const at::Tensor& state);
  /// An uninitialised flat float32 state, to receive a broadcast into.
  at::Tensor empty_state() const;
  /// \param sink as Evaluator's.
  PartialScore score(const Evaluator::DetectionSink& sink = {}) { return run(sink, nullptr); }
  /// Does all but the matching.
  UnmatchedScore score_unmatched();
  /// Does the matching; any thread may call it, with its own tracer.
  PartialScore match(UnmatchedScore score, const Evaluator::DetectionSink& sink, Tracer& tracer) const;
  /// The model's flat state, in the plan's dtype.
  const at::Tensor& state() const { return flat_; }

 private:
  void keep_on_device(const ValidationContext& context);
  std::unique_ptr<DataLoader> make_loader() const;
  PartialScore run(const Evaluator::DetectionSink& sink, std::vector<UnmatchedBatch>* unmatched);

  std::shared_ptr<const YoloDataset> dataset_;
  ValidationLoaderOptions loader_options_;
  LoaderLife loader_life_;
  std::vector<BatchPlan> batches_;
  std::unique_ptr<DetectionModel> model_;
  at::Tensor flat_;
  std::unique_ptr<DataLoader> loader_;
  std::unique_ptr<Evaluator> evaluator_;
};

}  // namespace valbench
