/// \file
/// Which parameters --freeze means (reference yolov5.md §4.6).
#pragma once
#include <string>
#include <vector>

#include "detect/detection_model.h"

namespace valbench {

/// Does a state entry lie in one of the layers, that is, begin with `model.{i}.`?
bool is_frozen(const std::string& name, const std::vector<int>& layers);

/// Throws InputError for a layer that the model does not have, and when nothing is left to train.
void check_frozen_layers(const DetectionModel& model, const std::vector<int>& layers);

}  // namespace valbench
