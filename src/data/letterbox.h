/// \file
/// Resizing and padding to the network input (reference yolov5.md §5.4, §5.5). Images are 8-bit RGB, HWC.
#pragma once
#include <opencv2/core/mat.hpp>
#include <optional>

namespace valbench {

/// Grey of the padding.
inline constexpr int kPaddingGrey = 114;

/// Size of an image whose longer side becomes `imgsz`: sides truncated (v7.0), or rounded up (head).
cv::Size size_of_longest(int height, int width, int imgsz, bool round_up);

/// OpenCV's interpolation of the next function: bilinear when augmenting or enlarging, area otherwise; none where the
/// size stays.
std::optional<int> longest_side_interpolation(int longest, int imgsz, bool augment);

/// Resizes so that the longer side is `imgsz`, enlarging small images too.
cv::Mat resize_to_longest(const cv::Mat& image, int imgsz, bool augment, bool round_up = false);

/// How an image of one size is placed in a network input.
struct Letterbox {
  double ratio = 1;                              ///< Scale of the content.
  double pad_w = 0, pad_h = 0;                   ///< Fractional padding of one side, by which labels move.
  int content_h = 0, content_w = 0;              ///< Size of the content in the output.
  int top = 0, bottom = 0, left = 0, right = 0;  ///< Integer borders, by which pixels move.
};

/// Options of plan_letterbox; the defaults are those of the data set's own calls.
struct LetterboxOptions {
  bool minimal = false;  ///< Pad only to a multiple of the stride (`auto`).
  bool scaleup = true;   ///< Enlarge small images.
  int stride = 32;
};

/// The placement of a height x width image in a `new_height` x `new_width` input.
Letterbox plan_letterbox(int height, int width, int new_height, int new_width, const LetterboxOptions& options);

/// The padded image.
cv::Mat apply_letterbox(const cv::Mat& image, const Letterbox& box);

}  // namespace valbench
