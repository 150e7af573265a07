/// \file
/// The boxes that ranks have found, image by image, and how they come together on rank 0.
#pragma once
#include <cstdint>
#include <vector>

#include "comm/communicator.h"
#include "data/batch_plan.h"
#include "metrics/confusion_matrix.h"
#include "metrics/detection.h"

namespace valbench {

/// The detections of one image, original pixels, NMS order.
struct ImageDetections {
  std::int64_t image = 0;  ///< Index in the data set.
  std::vector<Detection> detections;
};

/// A collective: the sum of all ranks' counts on rank 0, an empty matrix elsewhere.
ConfusionMatrix gather_confusion(Communicator& communicator, const ConfusionMatrix& mine);

/// A collective: all detections on rank 0, images in the order of the plan. Of an image that two ranks bring the later rank's count.
std::vector<ImageDetections> gather_detections(Communicator& communicator, const std::vector<BatchPlan>& plan,
                                               const std::vector<ImageDetections>& mine);

}  // namespace valbench
