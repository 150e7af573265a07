/// \file
/// Decoders of the rarer image formats: TIFF (libtiff), WebP (libwebp), BMP (stb_image). The bytes of a whole file in,
/// 8-bit RGB (HWC, CV_8UC3) out. All throw InputError that names the file.
#pragma once
#include <cstdint>
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <string>
#include <string_view>

namespace valbench {

/// Refuses a file whose pixels cannot be had.
[[noreturn]] void undecodable(const std::filesystem::path& file, const std::string& reason);

/// Refuses sizes of 0 and of more pixels than OpenCV takes (2^30), before memory is asked for.
void check_image_size(const std::filesystem::path& file, std::int64_t width, std::int64_t height);

bool is_tiff(std::string_view bytes);
bool is_webp(std::string_view bytes);
bool is_bmp(std::string_view bytes);

/// The first picture of a TIFF: 1 to 16 bits a sample, grey, palette, RGB, CMYK or YCbCr, orientation applied.
cv::Mat decode_tiff(const std::filesystem::path& file, std::string_view bytes);

/// A still WebP; its alpha is dropped.
cv::Mat decode_webp(const std::filesystem::path& file, std::string_view bytes);

/// An uncompressed BMP of 1 to 32 bits a pixel.
cv::Mat decode_bmp(const std::filesystem::path& file, std::string_view bytes);

}  // namespace valbench
