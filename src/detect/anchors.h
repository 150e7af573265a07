/// \file
/// Anchors as tensors (reference yolov5.md §1.5).
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "scenario/layer_table.h"

namespace valbench {

/// Pixels to grid units, float32 (levels, anchors, 2): each level divided by its stride. Where sizes fall while strides
/// rise, or the reverse, the levels are turned round first, as YOLOv5 does.
at::Tensor anchors_in_grid_units(const AnchorTable& anchors, const std::vector<int>& strides);

}  // namespace valbench
