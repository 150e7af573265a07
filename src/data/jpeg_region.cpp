#include "data/jpeg_region.h"

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

#include <jpeglib.h>

#include "data/exif.h"

namespace valbench {
namespace {

struct Errors : jpeg_error_mgr {
  std::jmp_buf jump;

  static void leave(j_common_ptr info) { std::longjmp(static_cast<Errors*>(info->err)->jump, 1); }
  static void say_nothing(j_common_ptr) {}
};

// What lives longer than a jump out of libjpeg.
struct RegionDecoder {
  Errors errors;
  jpeg_decompress_struct info{};
  std::vector<unsigned char> line;
  cv::Mat out;

  RegionDecoder() {
    info.err = jpeg_std_error(&errors);
    errors.error_exit = Errors::leave;
    errors.output_message = Errors::say_nothing;
  }
  RegionDecoder(const RegionDecoder&) = delete;
  RegionDecoder& operator=(const RegionDecoder&) = delete;
  ~RegionDecoder() { jpeg_destroy_decompress(&info); }

  // Nothing with a destructor may live in this function: errors leave it by longjmp.
  bool decode(std::string_view bytes, const cv::Size& size, const cv::Rect& region) {
    if (setjmp(errors.jump)) return false;
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info, TRUE);
    if (static_cast<int>(info.image_width) != size.width || static_cast<int>(info.image_height) != size.height)
      return false;
    if (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK) return false;
    info.out_color_space = JCS_EXT_RGB;
    info.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&info);
    // The first and last columns of a part are upsampled as if the image ended there: a block more on either side.
    const int block = info.max_h_samp_factor * DCTSIZE, first = std::max(0, region.x - block);
    JDIMENSION left = static_cast<JDIMENSION>(first);
    JDIMENSION width = static_cast<JDIMENSION>(std::min(size.width, region.br().x + block) - first);
    if (left > 0 || static_cast<int>(width) < size.width) jpeg_crop_scanline(&info, &left, &width);
    allocate(width, region);
    if (region.y > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(region.y));
    copy_rows(3 * (static_cast<std::size_t>(region.x) - left));
    return info.err->num_warnings == 0;
  }
  void allocate(JDIMENSION width, const cv::Rect& region) {
    line.resize(3 * static_cast<std::size_t>(width));
    out.create(region.height, region.width, CV_8UC3);
  }
  void copy_rows(std::size_t offset) {
    unsigned char* row = line.data();
    for (int y = 0; y < out.rows; ++y) {
      jpeg_read_scanlines(&info, &row, 1);
      std::memcpy(out.ptr(y), row + offset, 3 * static_cast<std::size_t>(out.cols));
    }
  }
};

}  // namespace

cv::Mat read_jpeg_region(std::string_view bytes, cv::Size size, const cv::Rect& region) {
  if (!bytes.starts_with("\xff\xd8\xff") || exif_orientation(bytes) != 1) return {};
  RegionDecoder decoder;
  if (!decoder.decode(bytes, size, region)) return {};
  return decoder.out;
}

}  // namespace valbench
