/// \file
/// YOLOv5's non-maximum suppression (reference yolov5.md §6.5).
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "metrics/detection.h"

namespace valbench {

struct NmsOptions {
  double confidence = 0.001, iou = 0.6;
  bool multi_label = true;
  bool agnostic = false;
  int max_candidates = 30000;  ///< YOLOv5's max_nms.
  int max_detections = 300;
  std::vector<int> classes;    ///< Keep only these; empty = all.
  int threads = 1;             ///< Images are spread over threads; the result does not depend on it.
};

/// Per image, boxes in network-input pixels, descending score; equal scores in candidate order (row, then class). No time limit: v7.0's
/// silently drops detections on a slow machine. `prediction` (N, rows, 5 + classes), any device and dtype: candidates are picked on its
/// device, suppression runs on the host.
struct NmsResult {
  std::vector<std::vector<Detection>> images;
  std::vector<std::int64_t> candidates;    ///< Entering suppression, per image.
  std::int64_t candidate_limit_hits = 0;   ///< Images with more than max_candidates.
  std::int64_t detection_limit_hits = 0;   ///< Images with more than max_detections survivors.
};
NmsResult non_maximum_suppression(const at::Tensor& prediction, const NmsOptions& options);

}  // namespace valbench
