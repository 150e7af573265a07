/// \file
/// Part of a JPEG, without computing the pixels around it.
#pragma once
#include <opencv2/core/mat.hpp>
#include <string_view>

namespace valbench {

/// The pixels of `region` (inside the image) as read_image() gives them, RGB, for a JPEG of that size. Nothing where only
/// a whole decoding can tell: another size, CMYK, an EXIF orientation, damage of any kind before the region's end.
cv::Mat read_jpeg_region(std::string_view bytes, cv::Size size, const cv::Rect& region);

}  // namespace valbench
