#include "data/image_file.h"

#include <png.h>
#include <turbojpeg.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csetjmp>
#include <cstring>
#include <fstream>
#include <memory>
#include <opencv2/core.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "data/exif.h"
#include "data/image_formats.h"

namespace valbench {
namespace {

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

std::string lower_extension(const std::filesystem::path& file) {
  std::string extension = file.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

struct TurboJpeg {
  tjhandle handle;
  explicit TurboJpeg(tjhandle made) : handle(made) {
    if (handle == nullptr) throw Error("TurboJPEG cannot be initialised: out of memory");
  }
  TurboJpeg(const TurboJpeg&) = delete;
  TurboJpeg& operator=(const TurboJpeg&) = delete;
  ~TurboJpeg() { tjDestroy(handle); }
};

const unsigned char* as_bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

struct JpegHeader {
  int width = 0, height = 0, subsampling = 0, colour_space = 0;
};

bool read_jpeg_header(tjhandle handle, std::string_view bytes, JpegHeader& header) {
  return tjDecompressHeader3(handle, as_bytes(bytes), bytes.size(), &header.width, &header.height, &header.subsampling,
                             &header.colour_space) == 0 ||
         (tjGetErrorCode(handle) == TJERR_WARNING && header.width > 0);
}

// Blank JPEGs reach 512 pixels a byte, one bit for a block of 64. A file that claims far more holds next to nothing of
// its image, and it would cost up to 3 GiB and seconds to find that out.
void check_jpeg_claim(const std::filesystem::path& file, std::size_t bytes, const JpegHeader& header) {
  constexpr std::int64_t kAlwaysBelieved = 1 << 20, kMostPixelsOfAByte = 4096;
  const std::int64_t pixels = std::int64_t{header.width} * header.height;
  if (pixels <= kAlwaysBelieved || pixels / kMostPixelsOfAByte <= static_cast<std::int64_t>(bytes)) return;
  undecodable(file, std::to_string(header.width) + "x" + std::to_string(header.height) + " pixels in " +
                        std::to_string(bytes) + " bytes");
}

// Adobe's inverted CMYK, by OpenCV's integer formula.
cv::Mat cmyk_to_rgb(const cv::Mat& cmyk) {
  cv::Mat rgb(cmyk.rows, cmyk.cols, CV_8UC3);
  for (int y = 0; y < cmyk.rows; ++y) {
    const auto* in = cmyk.ptr<cv::Vec4b>(y);
    auto* out = rgb.ptr<cv::Vec3b>(y);
    for (int x = 0; x < cmyk.cols; ++x) {
      const int k = in[x][3];
      for (int c = 0; c < 3; ++c) out[x][c] = static_cast<unsigned char>(k - (((255 - in[x][c]) * k) >> 8));
    }
  }
  return rgb;
}

cv::Mat decode_jpeg(const std::filesystem::path& file, std::string_view bytes, bool* damaged) {
  thread_local const TurboJpeg jpeg(tjInitDecompress());
  JpegHeader header;
  if (!read_jpeg_header(jpeg.handle, bytes, header)) undecodable(file, tjGetErrorStr2(jpeg.handle));
  check_image_size(file, header.width, header.height);
  check_jpeg_claim(file, bytes.size(), header);
  const bool cmyk = header.colour_space == TJCS_CMYK || header.colour_space == TJCS_YCCK;
  cv::Mat pixels(header.height, header.width, cmyk ? CV_8UC4 : CV_8UC3);
  const auto decode = [&] {
    return tjDecompress2(jpeg.handle, as_bytes(bytes), bytes.size(), pixels.data, header.width, 0, header.height,
                         cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_ACCURATEDCT);
  };
  int result = decode();
  if (result != 0) {  // What could not be decoded is black, not whatever lay there.
    pixels.setTo(0);
    result = decode();
  }
  if (result != 0 && tjGetErrorCode(jpeg.handle) != TJERR_WARNING) undecodable(file, tjGetErrorStr2(jpeg.handle));
  if (damaged != nullptr) *damaged = result != 0;
  return oriented(cmyk ? cmyk_to_rgb(pixels) : pixels, exif_orientation(bytes));
}

struct PngReader {
  std::string_view rest;
  std::string message;
  png_structp png = nullptr;
  png_infop info = nullptr;
  cv::Mat pixels;
  std::vector<png_bytep> rows;

  explicit PngReader(std::string_view bytes) : rest(bytes) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, [](png_structp, png_const_charp) {});
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) throw Error("libpng cannot be initialised: out of memory");
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }

  static void fail(png_structp png, png_const_charp message) {
    static_cast<PngReader*>(png_get_error_ptr(png))->message = message;
    std::longjmp(*png_set_longjmp_fn(png, std::longjmp, sizeof(jmp_buf)), 1);
  }
  static void read(png_structp png, png_bytep out, png_size_t size) {
    auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > reader->rest.size()) png_error(png, "the file ends early");
    std::memcpy(out, reader->rest.data(), size);
    reader->rest.remove_prefix(size);
  }

  // Nothing with a destructor may live in this function: errors leave it by longjmp.
  bool decode() {
    if (setjmp(*png_set_longjmp_fn(png, std::longjmp, sizeof(jmp_buf)))) return false;
    png_set_read_fn(png, this, read);
    png_read_info(png, info);
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    allocate();
    png_read_image(png, rows.data());
    return true;
  }
  void allocate() {
    pixels.create(static_cast<int>(png_get_image_height(png, info)), static_cast<int>(png_get_image_width(png, info)),
                  CV_8UC3);
    for (int y = 0; y < pixels.rows; ++y) rows.push_back(pixels.ptr(y));
  }
};

cv::Mat decode_png(const std::filesystem::path& file, std::string_view bytes) {
  PngReader reader(bytes);
  if (!reader.decode()) undecodable(file, reader.message);
  return reader.pixels;
}

// The first 64 KiB (all of a smaller file) and the last bytes.
struct FileEnds {
  std::string head, tail;
  std::size_t size = 0;  // Of the whole file.
};

FileEnds read_ends(const std::filesystem::path& file) {
  constexpr std::streamoff kHeadBytes = 65536, kTailBytes = 8;
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) throw InputError(file.string() + ": cannot be opened. Check that the file exists and may be read");
  const std::streamoff size = in.tellg();
  if (size == 0) undecodable(file, "the file is empty (0 bytes)");
  FileEnds ends{.head = {}, .tail = {}, .size = static_cast<std::size_t>(size)};
  ends.head.resize(static_cast<std::size_t>(std::min(size, kHeadBytes)));
  ends.tail.resize(static_cast<std::size_t>(std::min(size, kTailBytes)));
  in.seekg(0);
  in.read(ends.head.data(), static_cast<std::streamsize>(ends.head.size()));
  in.seekg(size - static_cast<std::streamoff>(ends.tail.size()));
  in.read(ends.tail.data(), static_cast<std::streamsize>(ends.tail.size()));
  if (!in) throw InputError(file.string() + ": cannot be read. Check the file system");
  return ends;
}

ImageHeader jpeg_header(const std::filesystem::path& file, const FileEnds& ends) {
  const TurboJpeg jpeg(tjInitDecompress());
  JpegHeader header;
  std::string whole;
  std::string_view bytes = ends.head;
  if (!read_jpeg_header(jpeg.handle, bytes, header)) {
    whole = read_file(file);  // Large EXIF or ICC blocks come before the size.
    bytes = whole;
    if (!read_jpeg_header(jpeg.handle, bytes, header)) undecodable(file, tjGetErrorStr2(jpeg.handle));
  }
  check_image_size(file, header.width, header.height);
  check_jpeg_claim(file, ends.size, header);  // A decoder would refuse it, and that must not happen in the training.
  ImageHeader out{header.height, header.width, false};
  if (exif_orientation(bytes) >= 5) std::swap(out.height, out.width);
  if (!ends.tail.ends_with("\xff\xd9")) decode_jpeg(file, read_file(file), &out.truncated);
  return out;
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// Every chunk's checksum: a damaged PNG must be found by the scan, not by the training.
void check_png_chunks(const std::filesystem::path& file, std::string_view bytes) {
  constexpr std::size_t kFrame = 12;  // length, name, checksum
  for (std::size_t at = kPngSignature.size(); at < bytes.size();) {
    const std::size_t length = bytes.size() - at < kFrame ? SIZE_MAX : big_endian(bytes, at);
    if (length > bytes.size() - at - kFrame) undecodable(file, "the PNG ends early");
    const uLong sum = crc32_z(0, as_bytes(bytes.substr(at + 4)), length + 4);
    const std::string name(bytes.substr(at + 4, 4));
    if (sum != big_endian(bytes, at + 8 + length)) undecodable(file, "a chunk of the PNG has a wrong checksum");
    if (name == "IEND") return;
    at += kFrame + length;
  }
  undecodable(file, "the PNG ends early");
}

ImageHeader png_header(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  if (bytes.size() < 33 || bytes.compare(12, 4, "IHDR") != 0) undecodable(file, "the PNG header is damaged");
  const std::uint32_t height = big_endian(bytes, 20), width = big_endian(bytes, 16);
  check_image_size(file, width, height);
  check_png_chunks(file, bytes);
  return {static_cast<int>(height), static_cast<int>(width), false};
}

using Decoder = cv::Mat (*)(const std::filesystem::path& file, std::string_view bytes);

// The decoder of a rarer format, by the first bytes; none for anything else.
Decoder rare_decoder(std::string_view bytes) {
  if (is_tiff(bytes)) return decode_tiff;
  if (is_webp(bytes)) return decode_webp;
  if (is_bmp(bytes)) return decode_bmp;
  return nullptr;
}

/// Decoders take memory for what a header claims; where there is none, the image is at fault, not the program.
template <class Decode>
auto within_memory(const std::filesystem::path& file, const Decode& decode) -> decltype(decode()) {
  try {
    return decode();
  } catch (const cv::Exception& error) {
    undecodable(file, error.code == cv::Error::StsNoMem ? "it takes more memory than there is" : error.err);
  } catch (const std::bad_alloc&) {
    undecodable(file, "it takes more memory than there is");
  }
}

[[noreturn]] void unknown_format(const std::filesystem::path& file) {
  undecodable(file, "neither a JPEG, PNG, TIFF, WebP nor BMP by its first bytes");
}

ImageHeader header_of(const std::filesystem::path& file) {
  const FileEnds ends = read_ends(file);
  if (is_jpeg(ends.head)) return jpeg_header(file, ends);
  if (ends.head.starts_with(kPngSignature)) return png_header(file);
  // The rarer formats have no end that tells a whole file from a part of one.
  const Decoder decode = rare_decoder(ends.head);
  if (decode == nullptr) unknown_format(file);
  const cv::Mat image = decode(file, read_file(file));
  return {image.rows, image.cols, false};
}

cv::Mat decode_any(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  if (bytes.empty()) undecodable(file, "the file is empty (0 bytes)");
  if (is_jpeg(bytes)) return decode_jpeg(file, bytes, nullptr);
  if (std::string_view(bytes).starts_with(kPngSignature)) return decode_png(file, bytes);
  const Decoder decode = rare_decoder(bytes);
  if (decode == nullptr) unknown_format(file);
  return decode(file, bytes);
}

}  // namespace

bool decodable_extension(const std::filesystem::path& file) {
  const std::string extension = lower_extension(file);
  return image_extension(file) && extension != ".dng" && extension != ".pfm";
}

bool image_extension(const std::filesystem::path& file) {
  static constexpr std::array<std::string_view, 10> kExtensions = {".bmp", ".dng", ".jpeg", ".jpg",  ".mpo",
                                                                   ".png", ".tif", ".tiff", ".webp", ".pfm"};
  return std::find(kExtensions.begin(), kExtensions.end(), lower_extension(file)) != kExtensions.end();
}

ImageHeader read_image_header(const std::filesystem::path& file) {
  return within_memory(file, [&] { return header_of(file); });
}

cv::Mat read_image(const std::filesystem::path& file) {
  return within_memory(file, [&] { return decode_any(file); });
}

void write_jpeg(const std::filesystem::path& file, const cv::Mat& rgb, int quality) {
  const TurboJpeg jpeg(tjInitCompress());
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  const int result = tjCompress2(jpeg.handle, rgb.data, rgb.cols, static_cast<int>(rgb.step[0]), rgb.rows, TJPF_RGB,
                                 &buffer, &size, TJSAMP_420, quality, TJFLAG_ACCURATEDCT);
  const std::unique_ptr<unsigned char, decltype(&tjFree)> owner(buffer, tjFree);
  if (result != 0) throw RecordError(file.string() + ": cannot be compressed: " + tjGetErrorStr2(jpeg.handle));
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(buffer), static_cast<std::streamsize>(size));
  out.close();
  if (!out) throw RecordError(file.string() + ": cannot be written. Check free space and permissions");
}

}  // namespace valbench
