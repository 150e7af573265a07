/// \file
/// Four images collated into one of twice the size (reference yolov5.md §5.9, quad).
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "data/yolo_dataset.h"

namespace valbench {

/// Labels of each image of a batch.
using BatchLabels = std::vector<std::vector<LabelRow>>;

/// Of every four images one: where `enlarge` says so, the first at twice its size (bilinear), else all four, the second
/// below the first and the third beside it. Labels follow. images: uint8 (4n, 3, H, W) -> (n, 3, 2H, 2W).
at::Tensor collate_four(const at::Tensor& images, BatchLabels& labels, const std::vector<bool>& enlarge, bool pinned);

}  // namespace valbench
