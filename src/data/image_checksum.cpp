#include "data/image_checksum.h"

#include <array>
#include <span>
#include <string>

#include "base/checksum.h"

namespace valbench {

std::uint64_t image_checksum(const ImageEntry& image) {
  const std::string name = image.file.filename().string();
  const std::array size = {image.height, image.width};
  std::uint64_t sum = checksum(std::as_bytes(std::span(name)));
  sum = checksum(std::as_bytes(std::span(size)), sum);
  sum = checksum(std::as_bytes(std::span(image.labels)), sum);
  for (const Polygon& polygon : image.polygons) sum = checksum(std::as_bytes(std::span(polygon)), sum);
  return sum;
}

}  // namespace valbench
