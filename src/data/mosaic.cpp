#include "data/mosaic.h"

#include <algorithm>
#include <opencv2/core.hpp>

#include "data/copy_paste.h"
#include "data/letterbox.h"

namespace valbench {

LabelledImage mosaic_canvas(const std::array<MosaicTile, 4>& tiles, int imgsz, int yc, int xc) {
  const int side = 2 * imgsz;
  LabelledImage out{cv::Mat(side, side, CV_8UC3, cv::Scalar::all(kPaddingGrey)), {}, {}};
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const cv::Mat& tile = tiles[i].image;
    const bool right = i % 2 == 1, below = i >= 2;
    // Where the tile's corner lies on the canvas; what sticks out is cut off.
    const int left = right ? xc : xc - tile.cols, top = below ? yc : yc - tile.rows;
    const cv::Rect visible = cv::Rect(left, top, tile.cols, tile.rows) & cv::Rect(0, 0, side, side);
    if (visible.area() > 0) tile(visible - cv::Point(left, top)).copyTo(out.image(visible));
    const std::vector<PixelBox> boxes = to_pixels(*tiles[i].labels, tile.cols, tile.rows, left, top);
    out.boxes.insert(out.boxes.end(), boxes.begin(), boxes.end());
    if (tiles[i].polygons == nullptr) continue;
    for (PixelPolygon& polygon : polygons_to_pixels(*tiles[i].polygons, tile.cols, tile.rows, left, top))
      out.polygons.push_back(std::move(polygon));
  }
  const auto limit = static_cast<float>(side);
  for (PixelBox& box : out.boxes) {
    for (float* value : {&box.x1, &box.y1, &box.x2, &box.y2}) *value = std::clamp(*value, 0.0F, limit);
  }
  for (PixelPolygon& polygon : out.polygons) {
    for (cv::Point2f& p : polygon) p = {std::clamp(p.x, 0.0F, limit), std::clamp(p.y, 0.0F, limit)};
  }
  return out;
}

}  // namespace valbench
