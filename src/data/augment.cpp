#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "data/copy_paste.h"
#include "data/letterbox.h"
#include "data/scale_warp.h"

namespace valbench {
namespace {

double radians(double degrees) { return degrees * std::numbers::pi / 180; }

// A polygon of zeros alone is none.
bool any_polygon(const std::vector<PixelPolygon>& polygons) {
  return std::any_of(polygons.begin(), polygons.end(), [](const PixelPolygon& polygon) {
    return std::any_of(polygon.begin(), polygon.end(), [](const cv::Point2f& p) { return p.x != 0 || p.y != 0; });
  });
}

}  // namespace

cv::Matx33d perspective_matrix(const PerspectiveDraw& draw, int in_h, int in_w, int out_h, int out_w) {
  cv::Matx33d c = cv::Matx33d::eye(), p = c, r = c, s = c, t = c;
  c(0, 2) = -in_w / 2.0;
  c(1, 2) = -in_h / 2.0;
  p(2, 0) = draw.px;
  p(2, 1) = draw.py;
  const double cosine = draw.scale * std::cos(radians(draw.angle_deg)),
               sine = draw.scale * std::sin(radians(draw.angle_deg));
  r(0, 0) = r(1, 1) = cosine;
  r(0, 1) = sine;
  r(1, 0) = -sine;
  s(0, 1) = std::tan(radians(draw.shear_x_deg));
  s(1, 0) = std::tan(radians(draw.shear_y_deg));
  t(0, 2) = draw.tx * out_w;
  t(1, 2) = draw.ty * out_h;
  return t * s * r * p * c;
}

cv::Mat warp_image(const cv::Mat& image, const cv::Matx33d& matrix, int out_h, int out_w, bool projective) {
  if (image.rows == out_h && image.cols == out_w && matrix == cv::Matx33d::eye()) return image;
  cv::Mat out;
  const cv::Size size(out_w, out_h);
  const cv::Scalar grey = cv::Scalar::all(kPaddingGrey);
  if (!projective && only_scales(matrix)) return scale_image(image, matrix, out_h, out_w);
  if (projective) {
    cv::warpPerspective(image, out, cv::Mat(matrix), size, cv::INTER_LINEAR, cv::BORDER_CONSTANT, grey);
  } else {
    cv::warpAffine(image, out, cv::Mat(matrix).rowRange(0, 2), size, cv::INTER_LINEAR, cv::BORDER_CONSTANT, grey);
  }
  return out;
}

cv::Rect warped_region(const cv::Matx33d& matrix, int in_h, int in_w, int out_h, int out_w, bool projective) {
  const cv::Rect whole(0, 0, in_w, in_h);
  const double determinant = matrix(0, 0) * matrix(1, 1) - matrix(0, 1) * matrix(1, 0);
  if (projective || determinant == 0) return whole;
  // Far more than the neighbours that are blended, and than what positions are rounded by.
  constexpr double kMargin = 4;
  double left = in_w, top = in_h, right = 0, bottom = 0;
  for (const auto& [u, v] : {std::pair{0, 0}, {out_w, 0}, {0, out_h}, {out_w, out_h}}) {
    const double du = u - matrix(0, 2), dv = v - matrix(1, 2);
    const double x = std::clamp((matrix(1, 1) * du - matrix(0, 1) * dv) / determinant, -kMargin, in_w + kMargin),
                 y = std::clamp((matrix(0, 0) * dv - matrix(1, 0) * du) / determinant, -kMargin, in_h + kMargin);
    left = std::min(left, x), right = std::max(right, x);
    top = std::min(top, y), bottom = std::max(bottom, y);
  }
  const auto whole_pixels = [](double value) { return static_cast<int>(std::floor(value)); };
  const cv::Point from(whole_pixels(left - kMargin), whole_pixels(top - kMargin));
  const cv::Point to(whole_pixels(right + kMargin) + 1, whole_pixels(bottom + kMargin) + 1);
  return cv::Rect(from, to) & whole;
}

std::vector<WarpedBox> warp_boxes(const std::vector<PixelBox>& boxes, const cv::Matx33d& matrix, int out_h, int out_w,
                                  bool projective) {
  std::vector<WarpedBox> out;
  out.reserve(boxes.size());
  for (const PixelBox& b : boxes) {
    const double xs[4] = {b.x1, b.x2, b.x1, b.x2}, ys[4] = {b.y1, b.y2, b.y2, b.y1};
    double wx[4], wy[4];
    for (int i = 0; i < 4; ++i) {
      const cv::Vec3d corner = matrix * cv::Vec3d(xs[i], ys[i], 1);
      const double depth = projective ? corner[2] : 1;
      wx[i] = corner[0] / depth;
      wy[i] = corner[1] / depth;
    }
    const auto [left, right] = std::minmax_element(wx, wx + 4);
    const auto [top, bottom] = std::minmax_element(wy, wy + 4);
    const double w = out_w, h = out_h;
    out.push_back(
        {std::clamp(*left, 0.0, w), std::clamp(*top, 0.0, h), std::clamp(*right, 0.0, w), std::clamp(*bottom, 0.0, h)});
  }
  return out;
}

std::vector<bool> box_candidates(const std::vector<PixelBox>& before, const std::vector<WarpedBox>& after,
                                 double scale, double area_share) {
  constexpr double kSmallestSide = 2, kLargestAspect = 100, kTiny = 1e-16;
  const auto s = static_cast<float>(scale);
  std::vector<bool> keep(before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const double w1 = before[i].x2 * s - before[i].x1 * s, h1 = before[i].y2 * s - before[i].y1 * s;
    const double w2 = after[i].x2 - after[i].x1, h2 = after[i].y2 - after[i].y1;
    const double aspect = std::max(w2 / (h2 + kTiny), h2 / (w2 + kTiny));
    keep[i] = w2 > kSmallestSide && h2 > kSmallestSide && w2 * h2 / (w1 * h1 + kTiny) > area_share &&
              aspect < kLargestAspect;
  }
  return keep;
}

LabelledImage random_perspective(const LabelledImage& in, const PerspectiveDraw& draw, int border) {
  const int out_h = in.image.rows + 2 * border, out_w = in.image.cols + 2 * border;
  const cv::Matx33d matrix = perspective_matrix(draw, in.image.rows, in.image.cols, out_h, out_w);
  LabelledImage out;
  out.image = warp_image(in.image, matrix, out_h, out_w, draw.projective);
  const bool polygons = any_polygon(in.polygons);
  std::vector<WarpedBox> warped;
  if (polygons) {
    for (const PixelPolygon& p : in.polygons) warped.push_back(warp_polygon(p, matrix, out_h, out_w, draw.projective));
    warped.resize(in.boxes.size(), WarpedBox{0, 0, 0, 0});
  } else {
    warped = warp_boxes(in.boxes, matrix, out_h, out_w, draw.projective);
  }
  const std::vector<bool> keep =
      box_candidates(in.boxes, warped, draw.scale, polygons ? kPolygonAreaShare : kBoxAreaShare);
  for (std::size_t i = 0; i < warped.size(); ++i) {
    if (!keep[i]) continue;
    out.boxes.push_back({in.boxes[i].cls, static_cast<float>(warped[i].x1), static_cast<float>(warped[i].y1),
                         static_cast<float>(warped[i].x2), static_cast<float>(warped[i].y2)});
  }
  return out;
}

std::array<double, 3> hsv_factors(const HsvDraw& draw) {
  return {draw.h * draw.gain_h + 1, draw.s * draw.gain_s + 1, draw.v * draw.gain_v + 1};
}

cv::Mat to_hsv(const cv::Mat& image) {
  cv::Mat hsv;
  cv::cvtColor(image, hsv, cv::COLOR_RGB2HSV);
  return hsv;
}

HsvTables hsv_tables(const HsvDraw& draw) {
  constexpr double kHues = 180;  // OpenCV's 8-bit hue
  const auto [h, s, v] = hsv_factors(draw);
  HsvTables tables;
  for (int i = 0; i < 256; ++i) {
    tables.hue[i] = static_cast<unsigned char>(std::fmod(i * h, kHues));
    tables.saturation[i] = static_cast<unsigned char>(std::clamp(i * s, 0.0, 255.0));
    tables.value[i] = static_cast<unsigned char>(std::clamp(i * v, 0.0, 255.0));
  }
  return tables;
}

void augment_hsv(cv::Mat& image, const HsvDraw& draw) {
  if (draw.gain_h == 0 && draw.gain_s == 0 && draw.gain_v == 0) return;
  const HsvTables tables = hsv_tables(draw);
  constexpr int kRows = 8;  // at a time, so that they stay in the nearest cache between the three steps
  cv::Mat hsv;
  for (int top = 0; top < image.rows; top += kRows) {
    cv::Mat rows = image.rowRange(top, std::min(top + kRows, image.rows));
    cv::cvtColor(rows, hsv, cv::COLOR_RGB2HSV);
    for (int y = 0; y < hsv.rows; ++y) {
      auto* row = hsv.ptr<cv::Vec3b>(y);
      for (int x = 0; x < hsv.cols; ++x) {
        row[x] = {tables.hue[row[x][0]], tables.saturation[row[x][1]], tables.value[row[x][2]]};
      }
    }
    cv::cvtColor(hsv, rows, cv::COLOR_HSV2RGB);
  }
}

LabelledImage mixup(const LabelledImage& a, const LabelledImage& b, double ratio) {
  LabelledImage out{cv::Mat(a.image.rows, a.image.cols, CV_8UC3), a.boxes};
  const int row_bytes = a.image.cols * 3;
  for (int y = 0; y < a.image.rows; ++y) {
    const unsigned char *p = a.image.ptr(y), *q = b.image.ptr(y);
    unsigned char* o = out.image.ptr(y);
    for (int x = 0; x < row_bytes; ++x) o[x] = static_cast<unsigned char>(p[x] * ratio + q[x] * (1 - ratio));
  }
  out.boxes.insert(out.boxes.end(), b.boxes.begin(), b.boxes.end());
  return out;
}

}  // namespace valbench
