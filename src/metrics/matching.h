/// \file
/// YOLOv5's matching of detections to labels (reference yolov5.md §6.7, val.py process_batch).
#pragma once
#include <span>

#include "metrics/detection.h"

namespace valbench {

/// Matches one image's detections (descending score) to its labels at the ten IoU thresholds, each threshold by itself, and
/// appends the image to `out`. Float32 IoU with eps 1e-7 in the denominator, as v7.0.
void match_image(std::int64_t image_id, std::span<const Detection> detections, std::span<const Label> labels, MatchSet& out);

/// Joins the parts of several ranks or threads, images ascending by id: the canonical order, whatever rank scored what.
/// Throws Error when an image occurs twice.
MatchSet merge_matches(std::span<const MatchSet> parts);

}  // namespace valbench
