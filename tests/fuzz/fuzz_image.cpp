// The size reader of images (JPEG, PNG, TIFF, WebP, BMP), and where the image is small its decoders, of parts of a JPEG
// too.
#include <opencv2/core.hpp>

#include "data/image_file.h"
#include "data/jpeg_region.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::int64_t kSmall = 1 << 16;
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::read_or_refuse([&] {
    const ImageHeader header = read_image_header(file.path());
    fuzz::require(header.height >= 1 && header.width >= 1, "sides from 1 up");
    if (std::int64_t{header.height} * header.width > kSmall) return;
    const cv::Mat image = read_image(file.path());
    fuzz::require(image.rows == header.height && image.cols == header.width, "a size as decoded");
    const cv::Rect region(image.cols / 3, image.rows / 3, image.cols - image.cols / 3, (image.rows + 1) / 2);
    const cv::Mat part = read_jpeg_region(fuzz::as_text(data, size), image.size(), region);
    fuzz::require(part.empty() || cv::norm(part, image(region), cv::NORM_INF) == 0,
                  "a part of a JPEG equal to the whole");
  });
  return 0;
}
