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

/// Images that mosaics draw from.
struct PartnerPool {
  std::int64_t count = 0;                            ///< Of the data set.
  const std::vector<std::int64_t>* chosen = nullptr;  ///< Only these, repeats counting; none = all.
  bool mixup_from_all = true;                        ///< The second mosaic's first image (v7.0; head: from `chosen`).
};

/// Draws the decisions for image `index` by the hyperparameters' ranges and probabilities.
ItemDraw draw_item(const Hyperparameters& hyp, int imgsz, std::int64_t index, const PartnerPool& pool,
                   SampleRandom& random);
inline ItemDraw draw_item(const Hyperparameters& hyp, int imgsz, std::int64_t index, std::int64_t count,
                          SampleRandom& random) {
  return draw_item(hyp, imgsz, index, PartnerPool{count}, random);
}

/// A training item: mosaic, or letterboxed to `height` x `width` and warped; then HSV and flips. Without
/// images.augment() it is only letterboxed.
Sample training_sample(const ResizedImages& images, std::int64_t index, const ItemDraw& draw, int height, int width);
/// The same at the square input of images.imgsz().
Sample training_sample(const ResizedImages& images, std::int64_t index, const ItemDraw& draw);

/// A validation item, letterboxed to `height` x `width` (never enlarged after load_image).
Sample validation_sample(const ResizedImages& images, std::int64_t index, int height, int width);

/// The image as three planes (CHW), as the network takes it.
void to_planes(const cv::Mat& image, std::uint8_t* planes);

}  // namespace valbench
