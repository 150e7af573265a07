/// \file
/// YOLOv5's matching of detections to labels (reference yolov5.md §6.7, val.py process_batch).
#pragma once
#include <span>

#include "metrics/detection.h"

namespace valbench {

/// Matches one image's detections (descending score) to its labels at the ten IoU thresholds, each threshold by itself, and
/// appends the image to `out`. Float32 IoU with eps 1e-7 in the denominator, as v7.0.
void match_image(std::int64_t image_id, std::span<const Detection> detections, std::span<const Label> labels, MatchSet& out);

/// One image's boxes, owned elsewhere.
struct ImageBoxes {
  std::int64_t id;                       ///< Index of the image in the validation set.
  std::span<const Detection> detections; ///< Descending score.
  std::span<const Label> labels;
};

/// Matches many images on up to `threads` threads. The result is in canonical order and equal for any number of threads and
/// any order of `images`. Throws Error when an image occurs twice.
MatchSet match_set(std::span<const ImageBoxes> images, int threads = 1);

/// Joins the parts of several ranks or threads, images ascending by id: the canonical order, whatever rank scored what.
/// Throws Error when an image occurs twice.
MatchSet merge_matches(std::span<const MatchSet> parts);

}  // namespace valbench
