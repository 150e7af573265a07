/// \file
/// From network-input pixels back to the original image (reference yolov5.md §6.6, scale_boxes with ratio_pad), in float32 as v7.0.
#pragma once
#include "data/batch_plan.h"
#include "metrics/detection.h"

namespace valbench {

/// Subtracts the padding, divides by the height ratio (v7.0 uses it for both axes), clips to the original image.
void scale_to_native(float& x1, float& y1, float& x2, float& y2, const ImageGeometry& geometry);

/// A target row (class, centre box normalised to the network input) as a label in original pixels.
Label native_label(float cls, float x, float y, float w, float h, int input_h, int input_w, const ImageGeometry& geometry);

}  // namespace valbench
