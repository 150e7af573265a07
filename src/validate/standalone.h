/// \file
/// Stand-alone validation (reference yolov5.md §6.2): one model scored on one split by all ranks, with what is written about it.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/batch_plan.h"
#include "data/yolo_dataset.h"
#include "detect/detection_model.h"
#include "metrics/confusion_matrix.h"
#include "metrics/mean_average_precision.h"
#include "record/run_record.h"
#include "scenario/val_spec.h"
#include "validate/image_detections.h"

namespace valbench {

/// Everything that one validation needs. References outlive the call.
struct StandaloneContext {
  const ValSpec& spec;
  Communicator& communicator;
  std::shared_ptr<const YoloDataset> dataset;
  DetectionModel& model;  ///< Fused, on `device`, fp16 where spec.half asks for it: see prepare_for_validation().
  c10::Device device;
  std::function<void(std::int64_t batch, std::int64_t batches)> progress;  ///< May be empty.
};

struct StandaloneResult {
  ValidationRecord metrics;
  std::vector<std::string> names;       ///< Of the classes.
  std::vector<ClassCurves> curves;      ///< One per class of metrics.classes; empty without a true positive.
  ConfusionMatrix confusion{0};
  std::map<std::string, double> seconds;  ///< Per stage, of the slowest rank; `total` is the wall time of all.
  std::vector<ImageDetections> detections;  ///< In batch order: all where the spec saves them, else those of the pictures.
  std::int64_t candidate_limit_hits = 0, detection_limit_hits = 0;
  int input_h = 0, input_w = 0;  ///< Of the first batch.
};

/// Fuses the model and brings it to the device and number format that the spec asks for.
void prepare_for_validation(DetectionModel& model, bool half, c10::Device device);

/// Throws InputError when the model and the data set have different numbers of classes (not with single_cls).
void check_classes(const ValSpec& spec, const DetectionModel& model, const YoloDataset& dataset);

/// The whole batch plan of a stand-alone validation.
std::vector<BatchPlan> standalone_plan(const ValSpec& spec, const YoloDataset& dataset, const DetectionModel& model);

/// Scores the data set. Every rank calls it; whole batches are dealt to them in turn, so that the numbers do not depend on how many there
/// are. Only rank 0 gets a result.
std::optional<StandaloneResult> validate_standalone(const StandaloneContext& context);

}  // namespace valbench
