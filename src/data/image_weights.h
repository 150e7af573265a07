/// \file
/// Drawing images by how badly their classes are detected (reference yolov5.md §4.6, image weights).
#pragma once
#include <cstdint>
#include <vector>

#include "data/yolo_dataset.h"

namespace valbench {

class SampleRandom;

/// A weight for each image: over its labels, the sum of (1 / labels of the class, normalised to 1) * (1 - mAP)^2.
/// \param class_map mAP50-95 of each class at the last validation; empty = 0 for all.
std::vector<double> image_weights(const YoloDataset& dataset, const std::vector<double>& class_map);

/// As many images as there are weights, drawn with replacement.
std::vector<std::int64_t> draw_by_weight(const std::vector<double>& weights, SampleRandom& random);

}  // namespace valbench
