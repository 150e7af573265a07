/// \file
/// The orientation that a JPEG's EXIF block asks for.
#pragma once
#include <opencv2/core/mat.hpp>
#include <string_view>

namespace valbench {

/// Orientation 1..8 of a JPEG (or its first bytes); 1 when there is none or it is damaged.
int exif_orientation(std::string_view jpeg);

/// The image as it is meant to be seen.
cv::Mat oriented(const cv::Mat& image, int orientation);

}  // namespace valbench
