/// \file
/// Augmentations as pure functions of the drawn decisions (reference yolov5.md §5.8). Images are 8-bit RGB, HWC.
#pragma once
#include <array>
#include <opencv2/core/mat.hpp>
#include <opencv2/core/matx.hpp>
#include <vector>

#include "data/boxes.h"

namespace valbench {

/// The draws of random_perspective; the defaults leave an image as it is.
struct PerspectiveDraw {
  double px = 0, py = 0;  ///< Perspective terms.
  double angle_deg = 0, scale = 1;
  double shear_x_deg = 0, shear_y_deg = 0;
  double tx = 0.5, ty = 0.5;  ///< Where the centre goes, as a fraction of the output.
  bool projective = false;    ///< The range of px, py is not zero: a perspective warp.
};

/// M = T S R P C for an input of in_w x in_h and an output of out_w x out_h.
cv::Matx33d perspective_matrix(const PerspectiveDraw& draw, int in_h, int in_w, int out_h, int out_w);

/// The image under M, padded with grey: the image itself when M is the identity and the size stays.
cv::Mat warp_image(const cv::Mat& image, const cv::Matx33d& matrix, int out_h, int out_w, bool projective);

/// The part of an in_w x in_h image that warp_image() reads: all of it for a perspective warp.
cv::Rect warped_region(const cv::Matx33d& matrix, int in_h, int in_w, int out_h, int out_w, bool projective);

/// A box around the warped corners, in double as YOLOv5 has it before the filter.
struct WarpedBox {
  double x1, y1, x2, y2;
};

/// The boxes under M, clipped to the output.
std::vector<WarpedBox> warp_boxes(const std::vector<PixelBox>& boxes, const cv::Matx33d& matrix, int out_h, int out_w,
                                  bool projective);

/// Least share of its scaled area that a warped box must keep.
inline constexpr double kBoxAreaShare = 0.10, kPolygonAreaShare = 0.01;

/// Which warped boxes stay: over 2 px wide and high, over a share of the scaled area, aspect under 100.
std::vector<bool> box_candidates(const std::vector<PixelBox>& before, const std::vector<WarpedBox>& after,
                                 double scale, double area_share = kBoxAreaShare);

/// A polygon in pixels of some canvas.
using PixelPolygon = std::vector<cv::Point2f>;

/// An image with its boxes.
struct LabelledImage {
  cv::Mat image;
  std::vector<PixelBox> boxes;
  std::vector<PixelPolygon> polygons;  ///< Of the first boxes, as far as their label files hold polygons.
};

/// random_perspective: `border` < 0 cuts the output by that much on every side. Boxes are filtered also when nothing is
/// warped. With polygons the new boxes are those around the warped polygons; boxes without one are lost then, as in
/// YOLOv5 v7.0.
LabelledImage random_perspective(const LabelledImage& in, const PerspectiveDraw& draw, int border);

/// HSV draws, each in [-1, 1), and the gains they are scaled by.
struct HsvDraw {
  double h = 0, s = 0, v = 0;
  double gain_h = 0, gain_s = 0, gain_v = 0;
};

/// Tables of 256 for hue, saturation and value.
struct HsvTables {
  unsigned char hue[256], saturation[256], value[256];
};
HsvTables hsv_tables(const HsvDraw& draw);

/// The factors of hue, saturation and value: draw * gain + 1.
std::array<double, 3> hsv_factors(const HsvDraw& draw);

/// OpenCV's 8-bit HSV of an image, hue in 0..179.
cv::Mat to_hsv(const cv::Mat& image);

/// Hue, saturation and value gains through OpenCV's 8-bit HSV, in place; untouched when all gains are 0.
void augment_hsv(cv::Mat& image, const HsvDraw& draw);

/// mixup: trunc(a * r + b * (1 - r)), labels of both.
LabelledImage mixup(const LabelledImage& a, const LabelledImage& b, double ratio);

}  // namespace valbench
