/// \file
/// The pictures and files of a training's validations: axes `plots` and `save_json`.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "validate/image_detections.h"
#include "validate/scorer.h"

namespace valbench {

/// What a validation leaves for them besides its score; empty where neither is asked for.
struct FoundDetections {
  ConfusionMatrix confusion{0};             ///< With plots.
  std::vector<ImageDetections> detections;  ///< With save_json.
};

/// Writes RUN/validations/epochN: with plots the curves and the confusion matrix, as pictures and as CSV, with save_json the detections in
/// COCO's form. All of it is part of the validation's time, and changes none of its numbers.
class ValidationFiles {
 public:
  /// Both outlive it. A rank without the validation set wants nothing.
  ValidationFiles(const ValidationContext& context, const ScoringPlan& plan);

  FoundDetections none_yet() const;
  /// Puts what an evaluator finds into `found`, which outlives the sink; empty where nothing is asked for.
  Evaluator::DetectionSink sink(FoundDetections& found) const;
  /// A collective, where anything is asked for: what all ranks found, on rank 0.
  FoundDetections gather(Communicator& communicator, FoundDetections mine) const;
  /// summarize_score() of a snapshot's score, with what the plan says of it, and with plots the curves of every class.
  ValidationRecord summarize(int epoch, const std::string& weights_checksum, const PartialScore& merged, std::vector<ClassCurves>& curves) const;
  /// On the rank that has all of it, in phases val.plots and val.json. A picture that cannot be drawn is a warning.
  void write(const ValidationRecord& record, const std::vector<ClassCurves>& curves, const FoundDetections& found, Tracer& tracer) const;

 private:
  std::filesystem::path folder_;  ///< Of the run.
  std::shared_ptr<const YoloDataset> dataset_;
  const ScoringPlan& plan_;
  int threads_;
  bool plots_, json_;
  bool coco_ids_ = false;
};

}  // namespace valbench
