// The size reader of images (JPEG, PNG, TIFF, WebP, BMP), and the decoders where the image is small.
#include <opencv2/core.hpp>

#include "data/image_file.h"
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
  });
  return 0;
}
