#include "data/letterbox.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace valbench {

cv::Size size_of_longest(int height, int width, int imgsz, bool round_up) {
  const double ratio = static_cast<double>(imgsz) / std::max(height, width);
  if (ratio == 1) return {width, height};
  // A sliver's short side would truncate to 0, which OpenCV refuses.
  const auto side = [&](int length) {
    return std::max(1, static_cast<int>(round_up ? std::ceil(length * ratio) : length * ratio));
  };
  return {side(width), side(height)};
}

std::optional<int> longest_side_interpolation(int longest, int imgsz, bool augment) {
  if (longest == imgsz) return std::nullopt;
  return augment || longest < imgsz ? cv::INTER_LINEAR : cv::INTER_AREA;
}

cv::Mat resize_to_longest(const cv::Mat& image, int imgsz, bool augment, bool round_up) {
  const std::optional<int> how = longest_side_interpolation(std::max(image.rows, image.cols), imgsz, augment);
  if (!how) return image;
  cv::Mat out;
  cv::resize(image, out, size_of_longest(image.rows, image.cols, imgsz, round_up), 0, 0, *how);
  return out;
}

Letterbox plan_letterbox(int height, int width, int new_height, int new_width, const LetterboxOptions& options) {
  Letterbox box;
  box.ratio = std::min(static_cast<double>(new_height) / height, static_cast<double>(new_width) / width);
  if (!options.scaleup) box.ratio = std::min(box.ratio, 1.0);
  // nearbyint rounds half to even, as Python does.
  const auto rounded = [](double value) { return static_cast<int>(std::nearbyint(value)); };
  box.content_w = rounded(width * box.ratio);
  box.content_h = rounded(height * box.ratio);
  int spare_w = new_width - box.content_w, spare_h = new_height - box.content_h;
  if (options.minimal) {
    spare_w %= options.stride;
    spare_h %= options.stride;
  }
  box.pad_w = spare_w / 2.0;
  box.pad_h = spare_h / 2.0;
  box.top = rounded(box.pad_h - 0.1);
  box.bottom = rounded(box.pad_h + 0.1);
  box.left = rounded(box.pad_w - 0.1);
  box.right = rounded(box.pad_w + 0.1);
  return box;
}

cv::Mat apply_letterbox(const cv::Mat& image, const Letterbox& box) {
  cv::Mat content = image;
  if (image.rows != box.content_h || image.cols != box.content_w) {
    cv::resize(image, content, cv::Size(box.content_w, box.content_h), 0, 0, cv::INTER_LINEAR);
  }
  cv::Mat out;
  cv::copyMakeBorder(content, out, box.top, box.bottom, box.left, box.right, cv::BORDER_CONSTANT,
                     cv::Scalar::all(kPaddingGrey));
  return out;
}

}  // namespace valbench
