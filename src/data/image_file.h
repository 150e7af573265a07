/// \file
/// Image files to RGB pixels, bit for bit as OpenCV decodes them: JPEG and MPO (TurboJPEG), PNG (libpng), and the
/// formats of image_formats.h. What a file is, is told by its first bytes.
#pragma once
#include <filesystem>
#include <opencv2/core/mat.hpp>

namespace valbench {

/// What a file's header says.
struct ImageHeader {
  int height = 0, width = 0;  ///< As decoded: after the EXIF orientation.
  bool truncated = false;     ///< A JPEG that ends early: decodable as far as it goes.
};

/// True for the extensions that valbench decodes: those of image_extension() but .dng and .pfm.
bool decodable_extension(const std::filesystem::path& file);

/// True for all extensions that YOLOv5 takes for images (§5.2), decodable here or not.
bool image_extension(const std::filesystem::path& file);

/// Size of an image, and whether it can be decoded. Of a JPEG only the header and the end are read (one without end
/// marker is decoded), of a PNG the checksums; the other formats are decoded. Throws InputError that names the file.
ImageHeader read_image_header(const std::filesystem::path& file);

/// Decodes a file to 8-bit RGB (HWC, CV_8UC3), EXIF orientation applied; libjpeg-turbo's "islow" IDCT and fancy
/// upsampling. A damaged or truncated JPEG is decoded as far as it goes. Throws InputError that names the file.
cv::Mat read_image(const std::filesystem::path& file);

/// Writes RGB pixels as a 4:2:0 JPEG of `quality` 1..100. Throws RecordError when the file cannot be written.
void write_jpeg(const std::filesystem::path& file, const cv::Mat& rgb, int quality);

}  // namespace valbench
