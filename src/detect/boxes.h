/// \file
/// Box arithmetic of the loss.
#pragma once
#include <ATen/core/Tensor.h>

namespace valbench {

/// CIoU of box pairs (n, 4) in x y w h, float32 (reference yolov5.md §2.5); alpha carries no gradient. Returns (n).
at::Tensor complete_iou(const at::Tensor& predicted, const at::Tensor& target);

}  // namespace valbench
