/// \file
/// Mosaic-4 (reference yolov5.md §5.7).
#pragma once
#include <array>
#include <cstdint>

#include "data/augment.h"

namespace valbench {

/// The draws of one mosaic.
struct MosaicDraw {
  double yc = 0, xc = 0;  ///< Where the four tiles meet, pixels; truncated.
  std::array<std::int64_t, 4>
      tiles{};  ///< Image indices after the shuffle: top left, top right, bottom left, bottom right.
  PerspectiveDraw perspective;
};

/// A tile: its pixels after resize_to_longest and its labels.
struct MosaicTile {
  cv::Mat image;
  const std::vector<LabelRow>* labels;
};

/// The 2s x 2s canvas before the warp, labels in its pixels, clipped to it.
LabelledImage mosaic_canvas(const std::array<MosaicTile, 4>& tiles, int imgsz, int yc, int xc);

}  // namespace valbench
