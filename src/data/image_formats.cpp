#include "data/image_formats.h"

#include <tiffio.h>
#include <webp/decode.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <opencv2/imgproc.hpp>

#include "base/error.h"
#include "data/exif.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#include <stb/stb_image.h>

namespace valbench {
namespace {

using namespace std::string_view_literals;

const unsigned char* as_bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// libtiff's handlers are global; what they hear is kept for the thread that decodes.
thread_local std::string tiff_message;

void keep_tiff_message(const char*, const char* format, va_list arguments) {
  char text[256];
  std::vsnprintf(text, sizeof text, format, arguments);
  tiff_message = text;
}

struct TiffBytes {
  std::string_view bytes;
  std::uint64_t at = 0;

  static TiffBytes& of(thandle_t handle) { return *static_cast<TiffBytes*>(handle); }
  static tmsize_t read(thandle_t handle, void* out, tmsize_t size) {
    TiffBytes& self = of(handle);
    const std::uint64_t total = self.bytes.size();
    if (size <= 0 || self.at >= total) return 0;
    const std::uint64_t count = std::min<std::uint64_t>(static_cast<std::uint64_t>(size), total - self.at);
    std::memcpy(out, self.bytes.data() + self.at, count);
    self.at += count;
    return static_cast<tmsize_t>(count);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    TiffBytes& self = of(handle);
    const std::uint64_t base = whence == SEEK_CUR ? self.at : whence == SEEK_END ? self.bytes.size() : 0;
    self.at = base + offset;
    return self.at;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t handle) { return of(handle).bytes.size(); }
};

std::uint32_t little_endian(std::string_view bytes, std::size_t at, int count) {
  std::uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | as_bytes(bytes)[at + static_cast<std::size_t>(i)];
  return value;
}

// stb_image reads zeros beyond the end of a file and has no RLE: both are told here.
void check_bmp(const std::filesystem::path& file, std::string_view bytes) {
  constexpr std::size_t kFileHeader = 14, kCoreHeader = 12;
  if (bytes.size() < kFileHeader + kCoreHeader) undecodable(file, "the BMP header is damaged");
  const std::uint64_t offset = little_endian(bytes, 10, 4), header = little_endian(bytes, 14, 4);
  std::int64_t width = 0, height = 0, bits = 0;
  if (header == kCoreHeader) {
    width = little_endian(bytes, 18, 2);
    height = little_endian(bytes, 20, 2);
    bits = little_endian(bytes, 24, 2);
  } else {
    if (header < 40 || bytes.size() < kFileHeader + header) undecodable(file, "the BMP header is damaged");
    width = static_cast<std::int32_t>(little_endian(bytes, 18, 4));
    height = std::abs(static_cast<std::int64_t>(static_cast<std::int32_t>(little_endian(bytes, 22, 4))));
    bits = little_endian(bytes, 28, 2);
    if (const std::uint32_t compression = little_endian(bytes, 30, 4); compression == 1 || compression == 2)
      undecodable(file, "a run-length coded BMP");
  }
  check_image_size(file, width, height);
  const std::int64_t row = (width * bits + 31) / 32 * 4;
  if (offset + static_cast<std::uint64_t>(row * height) > bytes.size()) undecodable(file, "the BMP ends early");
}

}  // namespace

void undecodable(const std::filesystem::path& file, const std::string& reason) {
  throw InputError(file.string() + ": cannot be decoded: " + reason + ". Replace or remove the image");
}

void check_image_size(const std::filesystem::path& file, std::int64_t width, std::int64_t height) {
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 30;
  if (width >= 1 && height >= 1 && width <= kMostPixels / height) return;
  undecodable(file, std::to_string(width) + "x" + std::to_string(height) + " pixels, allowed are 1 to 2^30");
}

bool is_tiff(std::string_view bytes) {
  return bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv) || bytes.starts_with("II+\0"sv) ||
         bytes.starts_with("MM\0+"sv);
}
bool is_webp(std::string_view bytes) { return bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP"); }
bool is_bmp(std::string_view bytes) { return bytes.starts_with("BM"); }

cv::Mat decode_tiff(const std::filesystem::path& file, std::string_view bytes) {
  static std::once_flag once;
  std::call_once(once, [] {
    TIFFSetErrorHandler(keep_tiff_message);
    TIFFSetWarningHandler(nullptr);
  });
  tiff_message.clear();
  TiffBytes source{bytes};
  // m: no memory mapping; the bytes are there already.
  const std::unique_ptr<TIFF, decltype(&TIFFClose)> tiff(
      TIFFClientOpen("TIFF", "rm", &source, TiffBytes::read, TiffBytes::write, TiffBytes::seek, TiffBytes::close,
                     TiffBytes::size, nullptr, nullptr),
      TIFFClose);
  if (!tiff) undecodable(file, tiff_message.empty() ? "the TIFF header is damaged" : tiff_message);
  std::uint32_t width = 0, height = 0;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  check_image_size(file, width, height);
  std::uint16_t orientation = ORIENTATION_TOPLEFT;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  // libtiff itself only flips; it gets the stored order, and the turn is ours.
  TIFFSetField(tiff.get(), TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  cv::Mat rgba(static_cast<int>(height), static_cast<int>(width), CV_8UC4);
  if (TIFFReadRGBAImageOriented(tiff.get(), width, height, rgba.ptr<std::uint32_t>(), ORIENTATION_TOPLEFT, 1) == 0)
    undecodable(file, tiff_message.empty() ? "the TIFF is damaged" : tiff_message);
  cv::Mat rgb;
  cv::cvtColor(rgba, rgb, cv::COLOR_RGBA2RGB);
  return oriented(rgb, orientation <= 8 ? orientation : 1);
}

cv::Mat decode_webp(const std::filesystem::path& file, std::string_view bytes) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(as_bytes(bytes), bytes.size(), &features) != VP8_STATUS_OK)
    undecodable(file, "the WebP header is damaged");
  if (features.has_animation != 0) undecodable(file, "an animated WebP");
  check_image_size(file, features.width, features.height);
  cv::Mat rgb(features.height, features.width, CV_8UC3);
  if (WebPDecodeRGBInto(as_bytes(bytes), bytes.size(), rgb.data, rgb.total() * 3, static_cast<int>(rgb.step[0])) ==
      nullptr) {
    undecodable(file, "the WebP is damaged or ends early");
  }
  return rgb;
}

cv::Mat decode_bmp(const std::filesystem::path& file, std::string_view bytes) {
  check_bmp(file, bytes);
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(as_bytes(bytes), static_cast<int>(bytes.size()), &width, &height, &channels, 3),
      stbi_image_free);
  if (!pixels) undecodable(file, stbi_failure_reason());
  return cv::Mat(height, width, CV_8UC3, pixels.get()).clone();
}

}  // namespace valbench
