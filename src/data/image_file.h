/// \file
/// Image files: JPEG (TurboJPEG) and PNG (libpng) to RGB pixels, bit for bit as OpenCV decodes them.
#pragma once
#include <filesystem>
#include <opencv2/core/mat.hpp>

namespace valbench {

/// What a file's header says.
struct ImageHeader {
  int height = 0, width = 0;  ///< As decoded: after the EXIF orientation.
  bool truncated = false;     ///< A JPEG that ends early: decodable as far as it goes.
};

/// True for the extensions that valbench decodes: .jpg, .jpeg, .png in any case.
bool decodable_extension(const std::filesystem::path& file);

/// True for all extensions that YOLOv5 takes for images (§5.2), decodable here or not.
bool image_extension(const std::filesystem::path& file);

/// Reads the header and the end of a file, not its pixels; only a JPEG without end marker is decoded, to see whether
/// that works. Throws InputError that names the file.
ImageHeader read_image_header(const std::filesystem::path& file);

/// Decodes a file to 8-bit RGB (HWC, CV_8UC3), EXIF orientation applied; libjpeg-turbo's "islow" IDCT and fancy
/// upsampling. A damaged or truncated JPEG is decoded as far as it goes. Throws InputError that names the file.
cv::Mat read_image(const std::filesystem::path& file);

/// Writes RGB pixels as a 4:2:0 JPEG of `quality` 1..100. Throws RecordError when the file cannot be written.
void write_jpeg(const std::filesystem::path& file, const cv::Mat& rgb, int quality);

}  // namespace valbench
