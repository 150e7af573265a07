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
  double copy_paste = 0;             ///< Share of the polygons that are copied.
  std::uint64_t copy_paste_key = 0;  ///< Seeds the choice of them.
  PerspectiveDraw perspective;
};

/// A tile: its pixels after resize_to_longest and its labels.
struct MosaicTile {
  cv::Mat image;
  const std::vector<LabelRow>* labels;
  const std::vector<Polygon>* polygons = nullptr;
  cv::Size size{};  ///< Of the whole tile, where `image` is only the part that add_tile() will need.
};

/// Where tile i (of four) of that size lies on a canvas whose tiles meet at `centre`; it may stick out.
cv::Rect tile_place(std::size_t i, cv::Size tile, cv::Point centre);

/// The part of tile i that lies within `region` of the canvas, in the tile's pixels; empty = none.
cv::Rect visible_part(std::size_t i, cv::Size tile, cv::Point centre, const cv::Rect& region);

/// Paints tile i of four and its part of the grey around them, both within `region`, and appends its labels.
void add_tile(LabelledImage& canvas, std::size_t i, const MosaicTile& tile, cv::Point centre, const cv::Rect& region);

/// Clips labels and polygons to the canvas.
void clip_labels(LabelledImage& canvas);

/// The whole 2s x 2s canvas before the warp, labels and polygons in its pixels, clipped to it.
LabelledImage mosaic_canvas(const std::array<MosaicTile, 4>& tiles, int imgsz, int yc, int xc);

}  // namespace valbench
