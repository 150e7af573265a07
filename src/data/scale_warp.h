/// \file
/// The affine warp of an image that is only scaled and moved, as in YOLOv5's default augmentation.
#pragma once
#include <opencv2/core/mat.hpp>
#include <opencv2/core/matx.hpp>

namespace valbench {

/// Whether scale_image() takes the matrix: it scales by positive factors and moves, and neither turns nor shears.
bool only_scales(const cv::Matx33d& matrix);

/// cv::warpAffine of an 8-bit RGB image, bilinear, the outside constant and grey, bit for bit: for matrices that
/// only_scales() takes.
cv::Mat scale_image(const cv::Mat& image, const cv::Matx33d& matrix, int out_h, int out_w);

}  // namespace valbench
