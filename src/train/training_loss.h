/// \file
/// The loss of a run, the same for training and validation.
#pragma once
#include "detect/detection_loss.h"
#include "detect/detection_model.h"
#include "scenario/run_spec.h"

namespace valbench {

/// Gains scaled as YOLOv5 scales them (reference yolov5.md §5); anchors as the model has them now.
DetectionLoss make_training_loss(const RunSpec& spec, const DetectionModel& model);

}  // namespace valbench
