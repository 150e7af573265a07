/// \file
/// Scores batches with a model: forward, decode, loss, NMS, matching (reference yolov5.md §6.3). Knows no rank.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>

#include "data/data_loader.h"
#include "detect/detection_loss.h"
#include "detect/detection_model.h"
#include "detect/nms.h"
#include "trace/tracer.h"
#include "validate/partial_score.h"

namespace valbench {

struct EvaluatorOptions {
  c10::Device device = c10::Device(c10::DeviceType::CPU);
  c10::ScalarType dtype = c10::ScalarType::Float;  ///< Of the images and the model.
  NmsOptions nms;
  bool augment = false;     ///< Test-time augmentation (§6.11); no loss then.
  bool single_cls = false;  ///< Every label and detection becomes class 0.
  std::stop_token stop = {};  ///< Asked before every batch; when it says so score() throws.
};

/// What was detected in a batch, not matched with its labels yet. Host memory.
struct UnmatchedBatch {
  at::Tensor targets;  ///< As in Batch.
  std::vector<ImageGeometry> geometry;
  int height = 0, width = 0;  ///< Of the network's input.
  NmsResult nms;
};

class Evaluator {
 public:
  /// \param loss absent: no validation loss.
  Evaluator(std::optional<DetectionLoss> loss, EvaluatorOptions options, Tracer& tracer);

  /// Scores what `loader` hands out, which are the batches of `plan` in order. The model's dtype and device must be the options'.
  /// The detections and labels of every image are also handed to `sink` when there is one (original pixels, NMS order).
  using DetectionSink = std::function<void(std::int64_t image, std::span<const Detection>, std::span<const Label>)>;
  /// \param unmatched where given, takes the batches instead of their being matched: match() is left to the caller, and any thread may do it.
  PartialScore score(DetectionModel& model, DataLoader& loader, std::span<const BatchPlan> plan, const DetectionSink& sink = {},
                     std::vector<UnmatchedBatch>* unmatched = nullptr);
  /// Adds a batch's matches to the score.
  void match(UnmatchedBatch batch, PartialScore& score, const DetectionSink& sink = {}) const;

 private:
  std::optional<DetectionLoss> loss_;
  EvaluatorOptions options_;
  Tracer& tracer_;
};

}  // namespace valbench
