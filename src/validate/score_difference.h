/// \file
/// Where two scores of one snapshot first differ: in an image, a detection, a label or a batch's loss.
#pragma once
#include <string>

#include "data/yolo_dataset.h"
#include "validate/partial_score.h"

namespace valbench {

/// The first difference between a strategy's merged score and the reference's, or empty when every bit is equal. An image that is
/// missing, was scored more than once, or does not belong there comes first; then detections and labels by image, then losses by batch.
/// \param dataset for the images' file names.
std::string first_difference(const PartialScore& result, const PartialScore& reference, const YoloDataset& dataset);

}  // namespace valbench
