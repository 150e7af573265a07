/// \file
/// Which images form a validation batch, at which shape (reference yolov5.md §5.9).
#pragma once
#include <cstdint>
#include <vector>

#include "scenario/run_spec.h"

namespace valbench {

class YoloDataset;

/// One validation batch: whole batches are dealt to ranks, never split, so that every rank count scores the same tensors.
struct BatchPlan {
  std::int64_t index = 0;             ///< Position in the full plan: the canonical batch order.
  std::vector<std::int64_t> images;   ///< Indices into the data set.
  int height = 0, width = 0;          ///< Network input size.
  int imgsz = 0;                      ///< Longer side that images are resized to before padding; 0 = the longer side of the input.
};

/// How an image was placed in the network input (YOLOv5's `shapes`).
struct ImageGeometry {
  std::int64_t image = 0;      ///< Index in the data set.
  int original_h = 0, original_w = 0;
  double ratio_h = 1, ratio_w = 1;  ///< h/h0, w/w0 after load_image and letterbox.
  double pad_w = 0, pad_h = 0;      ///< Fractional letterbox padding, pixels.
};

/// All validation batches of the images in `subset` (indices ascending; empty = all). rect: sorted by aspect ratio (stable, by
/// path), padded by `pad` strides;
/// square: in order, imgsz x imgsz.
std::vector<BatchPlan> plan_validation_batches(const YoloDataset& dataset, const std::vector<std::int64_t>& subset, int imgsz,
                                               int batch_size, int stride, BatchShape shape, double pad = 0.5);

/// The seeded, fixed subset that a ValidationSpec asks for; all indices when it asks for the full set.
std::vector<std::int64_t> validation_subset(const YoloDataset& dataset, const ValidationSpec& spec);

}  // namespace valbench
