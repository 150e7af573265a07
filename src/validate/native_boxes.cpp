#include "validate/native_boxes.h"

#include <algorithm>

namespace valbench {

void scale_to_native(float& x1, float& y1, float& x2, float& y2, const ImageGeometry& geometry) {
  const auto gain = static_cast<float>(geometry.ratio_h);
  const auto pad_w = static_cast<float>(geometry.pad_w);
  const auto pad_h = static_cast<float>(geometry.pad_h);
  const auto width = static_cast<float>(geometry.original_w);
  const auto height = static_cast<float>(geometry.original_h);
  x1 = std::clamp((x1 - pad_w) / gain, 0.0F, width);
  y1 = std::clamp((y1 - pad_h) / gain, 0.0F, height);
  x2 = std::clamp((x2 - pad_w) / gain, 0.0F, width);
  y2 = std::clamp((y2 - pad_h) / gain, 0.0F, height);
}

Label native_label(float cls, float x, float y, float w, float h, int input_h, int input_w, const ImageGeometry& geometry) {
  const auto width = static_cast<float>(input_w);
  const auto height = static_cast<float>(input_h);
  const float cx = x * width;
  const float cy = y * height;
  const float half_w = w * width / 2;
  const float half_h = h * height / 2;
  Label label{cls, cx - half_w, cy - half_h, cx + half_w, cy + half_h};
  scale_to_native(label.x1, label.y1, label.x2, label.y2, geometry);
  return label;
}

}  // namespace valbench
