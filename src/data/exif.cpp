#include "data/exif.h"

#include <cstddef>
#include <cstdint>
#include <opencv2/core.hpp>

namespace valbench {
namespace {

// Bounds-checked reads; what lies outside reads as 0.
struct Bytes {
  std::string_view data;
  bool little = false;

  unsigned byte(std::size_t at) const { return at < data.size() ? static_cast<unsigned char>(data[at]) : 0U; }
  unsigned u16(std::size_t at) const { return little ? byte(at) | byte(at + 1) << 8 : byte(at) << 8 | byte(at + 1); }
  std::uint32_t u32(std::size_t at) const { return little ? u16(at) | u16(at + 2) << 16 : u16(at) << 16 | u16(at + 2); }
};

int tiff_orientation(std::string_view tiff) {
  constexpr unsigned kOrientationTag = 0x0112;
  const Bytes bytes{tiff, tiff.starts_with("II")};
  const std::size_t directory = bytes.u32(4);
  const unsigned entries = bytes.u16(directory);
  for (unsigned i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + std::size_t{12} * i;
    if (entry + 12 > tiff.size()) break;
    if (bytes.u16(entry) == kOrientationTag) {
      const unsigned value = bytes.u16(entry + 8);
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  }
  return 1;
}

}  // namespace

int exif_orientation(std::string_view jpeg) {
  using namespace std::string_view_literals;
  const Bytes bytes{jpeg};
  std::size_t at = 2;
  while (at + 4 <= jpeg.size() && bytes.byte(at) == 0xFF && bytes.byte(at + 1) != 0xDA) {
    const std::size_t length = bytes.u16(at + 2);
    const std::string_view segment = jpeg.substr(at + 4, length < 2 ? 0 : length - 2);
    if (bytes.byte(at + 1) == 0xE1 && segment.starts_with("Exif\0\0"sv)) return tiff_orientation(segment.substr(6));
    at += 2 + length;
  }
  return 1;
}

cv::Mat oriented(const cv::Mat& image, int orientation) {
  if (orientation <= 1) return image;
  cv::Mat out = image;
  if (orientation >= 5) cv::transpose(image, out);
  constexpr int kNone = 2;
  constexpr int kFlips[] = {kNone, kNone, 1, -1, 0, kNone, 1, -1, 0};  // cv::flip codes; 1 = horizontal
  if (kFlips[orientation] == kNone) return out;
  cv::Mat flipped;
  cv::flip(out, flipped, kFlips[orientation]);
  return flipped;
}

}  // namespace valbench
