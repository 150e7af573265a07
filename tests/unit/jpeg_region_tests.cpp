// Parts of JPEGs against the whole decoding.
#include "data/jpeg_region.h"

#include <turbojpeg.h>

#include <opencv2/core.hpp>
#include <string>

#include "base/file.h"
#include "data/image_file.h"
#include "data/sampler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "tests/unit/dataset_fixture.h"

using namespace valbench;
using valbench::test::gradient;
using valbench::test::ScratchFolder;

namespace {

// Structure and noise: every coefficient is used.
cv::Mat picture(int h, int w) {
  cv::Mat image = gradient(h, w), noise(h, w, CV_8UC3);
  cv::RNG random(7);
  random.fill(noise, cv::RNG::UNIFORM, 0, 80);
  cv::add(image, noise, image);
  return image;
}

std::string jpeg_bytes(const cv::Mat& image, int subsampling, int flags, int format = TJPF_RGB) {
  const tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  REQUIRE(tjCompress2(handle, image.data, image.cols, static_cast<int>(image.step[0]), image.rows, format, &buffer,
                      &size, subsampling, 85, flags) == 0);
  std::string bytes(reinterpret_cast<const char*>(buffer), size);
  tjFree(buffer);
  tjDestroy(handle);
  return bytes;
}

cv::Rect any_region(const cv::Size& size, SampleRandom& random) {
  const auto span = [&](int length, int& from, int& count) {
    from = static_cast<int>(random.below(length));
    count = 1 + static_cast<int>(random.below(length - from));
  };
  cv::Rect region;
  span(size.width, region.x, region.width);
  span(size.height, region.y, region.height);
  return region;
}

}  // namespace

TEST_CASE("a part of a JPEG equals that part of the whole image, whatever the subsampling") {
  const ScratchFolder folder;
  SampleRandom random(1, 2, 3);
  for (const int subsampling : {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411, TJSAMP_GRAY}) {
    for (const int flags : {0, TJFLAG_PROGRESSIVE}) {
      for (const cv::Size size : {cv::Size(160, 120), cv::Size(97, 75), cv::Size(9, 40)}) {
        const std::string bytes = jpeg_bytes(picture(size.height, size.width), subsampling, flags);
        const cv::Mat whole = read_image(folder.write("a.jpg", bytes));
        for (int i = 0; i < 60; ++i) {
          const cv::Rect region = any_region(size, random);
          const cv::Mat part = read_jpeg_region(bytes, size, region);
          CAPTURE(subsampling, flags, size.width, size.height, region.x, region.y, region.width, region.height);
          REQUIRE(part.size() == region.size());
          REQUIRE(cv::norm(part, whole(region), cv::NORM_INF) == 0);
        }
      }
    }
  }
}

TEST_CASE("what only a whole decoding can tell gives no part") {
  const cv::Size size(64, 48);
  const std::string bytes = jpeg_bytes(picture(48, 64), TJSAMP_420, 0);
  const cv::Rect region(5, 20, 30, 20);
  REQUIRE(!read_jpeg_region(bytes, size, region).empty());
  CHECK(read_jpeg_region(bytes, {64, 49}, region).empty());
  CHECK(read_jpeg_region("no image", size, region).empty());
  CHECK(read_jpeg_region("", size, region).empty());
  const cv::Mat cmyk(48, 64, CV_8UC4, cv::Scalar(10, 20, 30, 40));
  CHECK(read_jpeg_region(jpeg_bytes(cmyk, TJSAMP_444, 0, TJPF_CMYK), size, region).empty());
  for (std::size_t length = 0; length < bytes.size() / 2; ++length)
    CHECK(read_jpeg_region(bytes.substr(0, length), size, region).empty());
}
