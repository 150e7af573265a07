#include "data/copy_paste.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <opencv2/imgproc.hpp>

#include "data/sampler.h"

namespace valbench {
namespace {

// In float32, as YOLOv5 has the labels.
float covered_share(const PixelBox& by, const PixelBox& label) {
  constexpr float kTiny = 1e-7F;
  const float w = std::max(0.0F, std::min(by.x2, label.x2) - std::max(by.x1, label.x1));
  const float h = std::max(0.0F, std::min(by.y2, label.y2) - std::max(by.y1, label.y1));
  return w * h / ((label.x2 - label.x1) * (label.y2 - label.y1) + kTiny);
}

}  // namespace

std::vector<PixelPolygon> polygons_to_pixels(const std::vector<Polygon>& polygons, double w, double h, double pad_w,
                                             double pad_h) {
  const auto fw = static_cast<float>(w), fh = static_cast<float>(h);
  const auto px = static_cast<float>(pad_w), py = static_cast<float>(pad_h);
  std::vector<PixelPolygon> out;
  out.reserve(polygons.size());
  for (const Polygon& polygon : polygons) {
    PixelPolygon& points = out.emplace_back();
    for (const PolygonPoint& p : polygon) points.emplace_back(fw * p.x + px, fh * p.y + py);
  }
  return out;
}

std::vector<std::size_t> draw_copy_paste(std::size_t polygons, double share, SampleRandom& random) {
  std::vector<std::size_t> order(polygons);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto wanted = static_cast<std::size_t>(std::nearbyint(share * static_cast<double>(polygons)));
  const std::size_t count = std::min(wanted, polygons);
  for (std::size_t i = 0; i < count; ++i)
    std::swap(order[i], order[i + static_cast<std::size_t>(random.below(static_cast<std::int64_t>(polygons - i)))]);
  order.resize(count);
  return order;
}

void copy_paste(LabelledImage& image, const std::vector<std::size_t>& chosen) {
  constexpr float kMostCovered = 0.30F;
  const auto width = static_cast<float>(image.image.cols);
  cv::Mat mask(image.image.size(), CV_8UC1, cv::Scalar::all(0));
  bool any = false;
  for (const std::size_t index : chosen) {
    const PixelBox box = image.boxes.at(index);
    const PixelBox mirrored{box.cls, width - box.x2, box.y1, width - box.x1, box.y2};
    const bool free = std::all_of(image.boxes.begin(), image.boxes.end(), [&](const PixelBox& label) {
      return covered_share(mirrored, label) < kMostCovered;
    });
    if (!free) continue;
    any = true;
    std::vector<cv::Point> outline;
    PixelPolygon polygon = image.polygons.at(index);
    for (cv::Point2f& p : polygon) {
      outline.emplace_back(static_cast<int>(p.x), static_cast<int>(p.y));
      p.x = width - p.x;
    }
    cv::drawContours(mask, std::vector<std::vector<cv::Point>>{outline}, -1, cv::Scalar::all(255), cv::FILLED);
    image.boxes.push_back(mirrored);
    image.polygons.push_back(std::move(polygon));
  }
  if (!any) return;
  cv::Mat flipped, flipped_mask;
  cv::flip(image.image, flipped, 1);
  cv::flip(mask, flipped_mask, 1);
  flipped.copyTo(image.image, flipped_mask);
}

PixelPolygon resample_polygon(const PixelPolygon& polygon) {
  constexpr std::size_t kPoints = 1000;
  PixelPolygon out(kPoints);
  const std::size_t edges = polygon.size();
  for (std::size_t i = 0; i < kPoints; ++i) {
    const double at = static_cast<double>(i) * (static_cast<double>(edges) / (kPoints - 1));
    const std::size_t edge = std::min(static_cast<std::size_t>(at), edges - 1);
    const double along = i + 1 == kPoints ? 1 : at - static_cast<double>(edge);
    const cv::Point2f &a = polygon[edge], &b = polygon[(edge + 1) % edges];
    out[i] = {static_cast<float>(a.x + along * (static_cast<double>(b.x) - a.x)),
              static_cast<float>(a.y + along * (static_cast<double>(b.y) - a.y))};
  }
  return out;
}

WarpedBox warp_polygon(const PixelPolygon& polygon, const cv::Matx33d& matrix, int out_h, int out_w, bool projective) {
  const double w = out_w, h = out_h;
  WarpedBox box{w, h, 0, 0};
  bool any = false;
  if (polygon.empty()) return {0, 0, 0, 0};
  for (const cv::Point2f& p : resample_polygon(polygon)) {
    const cv::Vec3d warped = matrix * cv::Vec3d(p.x, p.y, 1);
    const double depth = projective ? warped[2] : 1, x = warped[0] / depth, y = warped[1] / depth;
    if (!(x >= 0 && y >= 0 && x <= w && y <= h)) continue;
    any = true;
    box = {std::min(box.x1, x), std::min(box.y1, y), std::max(box.x2, x), std::max(box.y2, y)};
  }
  return any ? box : WarpedBox{0, 0, 0, 0};
}

}  // namespace valbench
