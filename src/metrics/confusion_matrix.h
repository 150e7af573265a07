/// \file
/// YOLOv5's confusion matrix (reference yolov5.md §6.9): score above 0.25, IoU above 0.45, classes ignored while
/// matching.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "metrics/detection.h"

namespace valbench {

/// Counts [predicted][true] over classes + 1, where the last index is the background. Integer counts, so that parts of
/// several ranks add up to the same matrix in any order.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes);
  /// From counts(), as another rank sent them. Throws Error when they are not (classes + 1)^2.
  ConfusionMatrix(int classes, std::vector<std::int64_t> counts);
  /// Adds one image. Images without labels count nothing; unmatched detections only count when the image has a match.
  /// Throws Error for a class outside [0, classes).
  void add_image(std::span<const Detection> detections, std::span<const Label> labels);
  /// Adds another rank's or thread's counts. Throws Error when the numbers of classes differ.
  void add(const ConfusionMatrix& other);

  int classes() const noexcept { return classes_; }
  /// Row after row: [predicted][true].
  const std::vector<std::int64_t>& counts() const noexcept { return counts_; }
  std::int64_t count(int predicted, int truth) const;
  friend bool operator==(const ConfusionMatrix&, const ConfusionMatrix&) = default;

 private:
  std::int64_t& at(int predicted, int truth);
  int class_index(float cls) const;

  int classes_ = 0;
  std::vector<std::int64_t> counts_;
};

}  // namespace valbench
