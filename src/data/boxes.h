/// \file
/// Label boxes between normalised and pixel form, in float32 as YOLOv5 has them.
#pragma once
#include <vector>

#include "data/yolo_dataset.h"

namespace valbench {

/// A label in pixels of some canvas.
struct PixelBox {
  float cls, x1, y1, x2, y2;
};

/// Normalised rows to corners: scaled by (w, h), then moved by the padding.
std::vector<PixelBox> to_pixels(const std::vector<LabelRow>& rows, double w, double h, double pad_w, double pad_h);

/// Corners to rows normalised to a w x h input, clipped to [0, side - 0.001].
std::vector<LabelRow> to_normalised(const std::vector<PixelBox>& boxes, int w, int h);

}  // namespace valbench
