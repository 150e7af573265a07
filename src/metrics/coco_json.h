/// \file
/// COCO files: ground truth (`images`, `annotations`, `categories`) and results (a list of detections).
#pragma once
#include <filesystem>

#include "metrics/coco_average_precision.h"

namespace valbench {

/// Reads both files into one set. Ids of images may be integers of 64 bits or strings, those of categories integers.
/// As in pycocotools, annotations and detections of categories, and annotations of images, that the ground truth does
/// not list are left out. Throws InputError that names the file and the entry: no JSON, a missing or wrong field, an id
/// that occurs twice, a detection in an image that is not in the ground truth.
CocoSet read_coco_set(const std::filesystem::path& ground_truth, const std::filesystem::path& detections);

}  // namespace valbench
