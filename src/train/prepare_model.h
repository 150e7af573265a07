/// \file
/// A run's model before training: built, and its anchors held against the labels.
#pragma once
#include <memory>
#include <string>

#include "data/yolo_dataset.h"
#include "detect/detection_model.h"
#include "scenario/run_spec.h"

namespace valbench {

/// The spec's model; `hyp anchors` gives placeholders in place of its anchors (§1.2).
std::unique_ptr<DetectionModel> build_model(const RunSpec& spec, int classes);

/// What AutoAnchor found and did.
struct AnchorCheck {
  bool refitted = false;
  std::string sentence;  ///< Empty when nothing was checked.
};

/// AutoAnchor (§1.10): where the anchors can be matched with fewer than 98 % of the labels, searches better ones and writes
/// them into the model, in grid units. Call on rank 0, before TrainStep, which gives every rank rank 0's state.
/// Throws InputError when anchors are placeholders and nothing is to fill them.
AnchorCheck check_anchors(const RunSpec& spec, const YoloDataset& train, DetectionModel& model);

}  // namespace valbench
