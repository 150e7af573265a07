#include "data/mosaic.h"

#include <algorithm>
#include <cstring>
#include <opencv2/core.hpp>

#include "data/copy_paste.h"
#include "data/letterbox.h"

namespace valbench {

namespace {

void paint_grey(cv::Mat& canvas, const cv::Rect& area) {
  for (int y = area.y; y < area.y + area.height; ++y)
    std::memset(canvas.ptr(y) + 3 * area.x, kPaddingGrey, 3 * static_cast<std::size_t>(area.width));
}

// The part of `area` that `tile` does not cover.
void paint_around(cv::Mat& canvas, const cv::Rect& area, const cv::Rect& tile) {
  const cv::Rect inner = area & tile;
  if (inner.empty()) return paint_grey(canvas, area);
  paint_grey(canvas, {area.x, area.y, area.width, inner.y - area.y});
  paint_grey(canvas, {area.x, inner.br().y, area.width, area.br().y - inner.br().y});
  paint_grey(canvas, {area.x, inner.y, inner.x - area.x, inner.height});
  paint_grey(canvas, {inner.br().x, inner.y, area.br().x - inner.br().x, inner.height});
}

}  // namespace

cv::Rect tile_place(std::size_t i, cv::Size tile, cv::Point centre) {
  const bool right = i % 2 == 1, below = i >= 2;
  return {right ? centre.x : centre.x - tile.width, below ? centre.y : centre.y - tile.height, tile.width, tile.height};
}

cv::Rect visible_part(std::size_t i, cv::Size tile, cv::Point centre, const cv::Rect& region) {
  const cv::Rect place = tile_place(i, tile, centre), visible = place & region;
  return visible.empty() ? cv::Rect() : visible - place.tl();
}

void add_tile(LabelledImage& canvas, std::size_t i, const MosaicTile& tile, cv::Point centre, const cv::Rect& region) {
  const cv::Size size = tile.size.empty() ? tile.image.size() : tile.size;
  const cv::Rect place = tile_place(i, size, centre), part = visible_part(i, size, centre, region);
  const cv::Point corners[4] = {
      {0, 0}, {canvas.image.cols, 0}, {0, canvas.image.rows}, {canvas.image.cols, canvas.image.rows}};
  paint_around(canvas.image, cv::Rect(centre, corners[i]) & region, place);
  if (!part.empty()) (tile.size.empty() ? tile.image(part) : tile.image).copyTo(canvas.image(part + place.tl()));
  const std::vector<PixelBox> boxes = to_pixels(*tile.labels, size.width, size.height, place.x, place.y);
  canvas.boxes.insert(canvas.boxes.end(), boxes.begin(), boxes.end());
  if (tile.polygons == nullptr) return;
  for (PixelPolygon& polygon : polygons_to_pixels(*tile.polygons, size.width, size.height, place.x, place.y))
    canvas.polygons.push_back(std::move(polygon));
}

void clip_labels(LabelledImage& canvas) {
  const auto w = static_cast<float>(canvas.image.cols), h = static_cast<float>(canvas.image.rows);
  for (PixelBox& b : canvas.boxes) {
    b = {b.cls, std::clamp(b.x1, 0.0F, w), std::clamp(b.y1, 0.0F, h), std::clamp(b.x2, 0.0F, w),
         std::clamp(b.y2, 0.0F, h)};
  }
  for (PixelPolygon& polygon : canvas.polygons) {
    for (cv::Point2f& p : polygon) p = {std::clamp(p.x, 0.0F, w), std::clamp(p.y, 0.0F, h)};
  }
}

LabelledImage mosaic_canvas(const std::array<MosaicTile, 4>& tiles, int imgsz, int yc, int xc) {
  const int side = 2 * imgsz;
  LabelledImage canvas{cv::Mat(side, side, CV_8UC3), {}, {}};
  for (std::size_t i = 0; i < tiles.size(); ++i) add_tile(canvas, i, tiles[i], {xc, yc}, {0, 0, side, side});
  clip_labels(canvas);
  return canvas;
}

}  // namespace valbench
