/// \file
/// One item of a batch: an image at the network's size with its labels (reference yolov5.md §5.6).
#pragma once
#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "data/batch_plan.h"
#include "data/mosaic.h"
#include "scenario/run_spec.h"

namespace valbench {

class ResizedImages;
class SampleRandom;

/// An item: RGB HWC pixels, labels normalised to the network input.
struct Sample {
  cv::Mat image;
  std::vector<LabelRow> labels;
  ImageGeometry geometry;  ///< Only the image and its original size after a mosaic or a warp.
};

/// Every random decision of a training item.
struct ItemDraw {
  bool mosaic = false;
  MosaicDraw tiles;
  bool mixup = false;  ///< Only with a mosaic.
  MosaicDraw mixup_tiles;
  double mixup_ratio = 0.5;
  PerspectiveDraw perspective;  ///< Without a mosaic.
  HsvDraw hsv;
  bool flip_ud = false, flip_lr = false;
};

/// Draws the decisions for image `index` of `count` by the hyperparameters' ranges and probabilities.
ItemDraw draw_item(const Hyperparameters& hyp, int imgsz, std::int64_t index, std::int64_t count, SampleRandom& random);

/// A training item: mosaic, or letterboxed to a square and warped; then HSV and flips. Without images.augment() it is
/// only letterboxed.
Sample training_sample(const ResizedImages& images, std::int64_t index, const ItemDraw& draw);

/// A validation item, letterboxed to `height` x `width` (never enlarged after load_image).
Sample validation_sample(const ResizedImages& images, std::int64_t index, int height, int width);

}  // namespace valbench
