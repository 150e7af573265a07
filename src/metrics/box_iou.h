/// \file
/// Intersection over union of a label and a detection.
#pragma once
#include <algorithm>

#include "metrics/detection.h"

namespace valbench {

/// Float32, 1e-7 added to the union, terms added in YOLOv5's order (yolov5.md §6.7): the bits decide who passes a
/// threshold.
inline float box_iou(const Label& label, const Detection& detection) noexcept {
  const float width = std::max(std::min(label.x2, detection.x2) - std::max(label.x1, detection.x1), 0.f);
  const float height = std::max(std::min(label.y2, detection.y2) - std::max(label.y1, detection.y1), 0.f);
  const float intersection = width * height;
  const float label_area = (label.x2 - label.x1) * (label.y2 - label.y1);
  const float detection_area = (detection.x2 - detection.x1) * (detection.y2 - detection.y1);
  return intersection / (label_area + detection_area - intersection + 1e-7f);
}

}  // namespace valbench
