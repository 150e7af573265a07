/// \file
/// YOLOv5's default anchors (reference yolov5.md §1.5).
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace valbench {

/// Width and height pairs in pixels, one row of 2 * anchors-per-level numbers a level.
using AnchorTable = std::vector<std::vector<double>>;

const AnchorTable& p5_anchors();  ///< n s m l x, strides 8 16 32.
const AnchorTable& p6_anchors();  ///< n6 … x6, strides 8 16 32 64.

/// Pixels to grid units, float32 (levels, anchors, 2): each level divided by its stride.
at::Tensor anchors_in_grid_units(const AnchorTable& anchors, const std::vector<int>& strides);

}  // namespace valbench
