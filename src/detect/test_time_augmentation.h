/// \file
/// Test-time augmentation: three scales, one of them mirrored, predicted as one (reference yolov5.md §6.11).
#pragma once
#include <ATen/core/Tensor.h>

#include "detect/detection_model.h"

namespace valbench {

/// Decoded predictions of `images` at scales 1, 0.83 (mirrored) and 0.67, in pixels of `images`. The full scale goes without its coarsest
/// level, the smallest without its finest. \param images (N, 3, H, W), H and W multiples of the model's largest stride.
at::Tensor predict_augmented(DetectionModel& model, const at::Tensor& images);

/// `images` resized to int(side * scale), bilinear, and padded right and below with 0.447 up to a multiple of `stride` of the exact
/// scaled side.
at::Tensor scaled_for_augmentation(const at::Tensor& images, double scale, int stride);

}  // namespace valbench
