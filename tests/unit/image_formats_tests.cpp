// Images of every format and of odd kinds.
#include "data/image_formats.h"

#include <png.h>
#include <tiffio.h>
#include <turbojpeg.h>
#include <webp/encode.h>

#include <map>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/catch.h"
#include "tests/unit/dataset_fixture.h"

using namespace valbench;
using Catch::Matchers::Contains;
using valbench::test::DatasetFixture;
using valbench::test::gradient;
namespace fs = std::filesystem;

namespace {

constexpr int kHeight = 20, kWidth = 24;

void write_tiff(const fs::path& file, int bits, int orientation) {
  const cv::Mat rgb = gradient(kHeight, kWidth);
  TIFF* tiff = TIFFOpen(file.c_str(), "w");
  REQUIRE(tiff != nullptr);
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, kWidth);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, kHeight);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, bits);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 3);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_LZW);
  TIFFSetField(tiff, TIFFTAG_ORIENTATION, orientation);
  for (int y = 0; y < kHeight; ++y) {
    std::vector<std::uint16_t> wide(3 * kWidth);
    for (std::size_t x = 0; x < wide.size(); ++x) wide[x] = static_cast<std::uint16_t>(rgb.ptr(y)[x] * 257);
    cv::Mat row = rgb.row(y).clone();
    TIFFWriteScanline(tiff, bits == 16 ? static_cast<void*>(wide.data()) : row.data, static_cast<unsigned>(y), 0);
  }
  TIFFClose(tiff);
}

std::string bmp_bytes(int bits, bool top_down) {
  const cv::Mat rgb = gradient(kHeight, kWidth);
  const int row = (kWidth * bits + 31) / 32 * 4;
  std::string out(54, '\0');
  const auto put = [&](std::size_t at, std::int32_t value, int size) {
    for (int i = 0; i < size; ++i) out[at + static_cast<std::size_t>(i)] = static_cast<char>(value >> (8 * i));
  };
  out[0] = 'B', out[1] = 'M';
  put(10, 54, 4), put(14, 40, 4), put(18, kWidth, 4), put(22, top_down ? -kHeight : kHeight, 4);
  put(26, 1, 2), put(28, bits, 2);
  for (int i = 0; i < kHeight; ++i) {
    std::string line(static_cast<std::size_t>(row), '\0');
    for (int x = 0; x < kWidth; ++x) {
      const cv::Vec3b pixel = rgb.at<cv::Vec3b>(top_down ? i : kHeight - 1 - i, x);
      for (int c = 0; c < 3; ++c) line[static_cast<std::size_t>(x * bits / 8 + c)] = static_cast<char>(pixel[2 - c]);
    }
    out += line;
  }
  return out;
}

std::string webp_bytes(const cv::Mat& rgb) {
  std::uint8_t* data = nullptr;
  const std::size_t size = WebPEncodeLosslessRGB(rgb.data, rgb.cols, rgb.rows, static_cast<int>(rgb.step[0]), &data);
  std::string out(reinterpret_cast<const char*>(data), size);
  WebPFree(data);
  return out;
}

std::string cmyk_jpeg(int h, int w) {
  std::vector<unsigned char> pixels(static_cast<std::size_t>(4 * h * w));
  for (std::size_t i = 0; i < pixels.size(); i += 4) {
    pixels[i] = 255, pixels[i + 1] = 128, pixels[i + 2] = 0, pixels[i + 3] = 255;  // inverted, as Adobe writes it
  }
  const tjhandle jpeg = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  REQUIRE(tjCompress2(jpeg, pixels.data(), w, 0, h, TJPF_CMYK, &buffer, &size, TJSAMP_444, 100, 0) == 0);
  const std::string out(reinterpret_cast<const char*>(buffer), size);
  tjFree(buffer);
  tjDestroy(jpeg);
  return out;
}

void check_decoded(const fs::path& file, const cv::Mat& expected) {
  const ImageHeader header = read_image_header(file);
  CHECK(header.height == expected.rows);
  CHECK(header.width == expected.cols);
  const cv::Mat image = read_image(file);
  REQUIRE(image.size() == expected.size());
  CHECK(cv::norm(image, expected, cv::NORM_INF) == 0);
}

}  // namespace

TEST_CASE("TIFFs of 8 and 16 bits are decoded, turned as their orientation says") {
  const DatasetFixture set;
  const fs::path file = set.file("images/train/a.tiff");
  const cv::Mat rgb = gradient(kHeight, kWidth);
  for (const int bits : {8, 16}) {
    write_tiff(file, bits, ORIENTATION_TOPLEFT);
    check_decoded(file, rgb);
  }
  write_tiff(file, 8, ORIENTATION_RIGHTTOP);  // 6: a quarter turn clockwise
  cv::Mat turned;
  cv::rotate(rgb, turned, cv::ROTATE_90_CLOCKWISE);
  check_decoded(file, turned);
}

TEST_CASE("BMPs of 24 and 32 bits are decoded, bottom up and top down") {
  const DatasetFixture set;
  for (const int bits : {24, 32}) {
    for (const bool top_down : {false, true}) {
      check_decoded(set.folder.write("a.bmp", bmp_bytes(bits, top_down)), gradient(kHeight, kWidth));
    }
  }
}

TEST_CASE("a lossless WebP is decoded to the pixels it was made from") {
  const DatasetFixture set;
  const cv::Mat rgb = gradient(kHeight, kWidth);
  check_decoded(set.folder.write("a.webp", webp_bytes(rgb)), rgb);
}

TEST_CASE("an MPO is read as its first picture, and a name does not decide what a file is") {
  const DatasetFixture set;
  const cv::Mat first = read_image(set.jpeg("a.jpg"));
  const std::string bytes = read_file(set.folder.path() / "a.jpg"), other = read_file(set.jpeg("b.jpg", 96, 96));
  check_decoded(set.folder.write("a.mpo", bytes + other), first);
  check_decoded(set.folder.write("c.png", bytes), first);
  check_decoded(set.folder.write("d.JPG", bmp_bytes(24, false)), gradient(kHeight, kWidth));
}

TEST_CASE("a CMYK JPEG becomes RGB") {
  const DatasetFixture set;
  const cv::Mat image = read_image(set.folder.write("a.jpg", cmyk_jpeg(16, 32)));
  REQUIRE(image.rows == 16);
  REQUIRE(image.cols == 32);
  const cv::Vec3b pixel = image.at<cv::Vec3b>(8, 8);
  CHECK(pixel[0] >= 253);
  CHECK(std::abs(pixel[1] - 128) <= 3);
  CHECK(pixel[2] <= 3);
}

TEST_CASE("a 16-bit PNG keeps the upper byte of every sample") {
  const DatasetFixture set;
  std::vector<std::uint16_t> wide(3 * kWidth * kHeight);
  const cv::Mat rgb = gradient(kHeight, kWidth);
  for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = static_cast<std::uint16_t>(rgb.data[i] * 256 + i % 256);
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = kWidth;
  header.height = kHeight;
  header.format = PNG_FORMAT_LINEAR_RGB;
  const fs::path file = set.file("a.png");
  REQUIRE(png_image_write_to_file(&header, file.c_str(), 0, wide.data(), 0, nullptr) != 0);
  check_decoded(file, rgb);
}

TEST_CASE("an image 20,000 pixels wide is read, one of 1x1 is left out with its size") {
  const DatasetFixture set;
  const fs::path wide = set.jpeg("images/train/wide.jpg", 12, 20000);
  set.label("wide", "0 0.5 0.5 0.2 0.2\n");
  set.jpeg("images/train/dot.jpg", 1, 1);
  CHECK(read_image(wide).cols == 20000);
  const YoloDataset data = set.load();
  REQUIRE(data.images.size() == 1);
  CHECK(data.images[0].width == 20000);
  REQUIRE(data.warnings.size() == 1);
  CHECK_THAT(data.warnings[0], Contains("dot.jpg: left out: 1x1 is under 10 pixels"));
}

TEST_CASE("damaged images of every format are left out with a reason, and stay as they are") {
  const DatasetFixture set;
  const auto name = [](const std::string& name) { return "images/train/" + name; };
  set.jpeg(name("good.jpg"));
  set.label("good", "0 0.5 0.5 0.2 0.2\n");
  write_tiff(set.file(name("good.tif")), 8, ORIENTATION_TOPLEFT);
  const std::string tiff = read_file(set.folder.path() / name("good.tif"));
  const std::string webp = webp_bytes(gradient(kHeight, kWidth)), bmp = bmp_bytes(24, false);
  std::string rle = bmp, huge = bmp, negative = bmp;
  rle[30] = 1;
  huge.replace(18, 8, "\xff\xff\xff\x7f\xff\xff\xff\x7f");
  negative.replace(18, 4, "\xff\xff\xff\xff");
  std::string claim = read_file(set.folder.path() / name("good.jpg"));  // 32768 x 32768 by its header, and no end
  claim.replace(claim.find("\xff\xc0") + 5, 4, std::string("\x80\0\x80\0", 4));
  const std::string whole_claim = claim;
  claim.resize(claim.size() - 2);
  const std::map<std::string, std::pair<std::string, std::string>> bad = {
      {"a.tif", {tiff.substr(0, tiff.size() / 2), ""}},
      {"b.tif", {tiff.substr(0, 20), ""}},
      {"c.webp", {webp.substr(0, webp.size() / 2), "damaged or ends early"}},
      {"d.webp", {webp.substr(0, 13), "WebP header is damaged"}},
      {"e.bmp", {bmp.substr(0, bmp.size() - 1), "the BMP ends early"}},
      {"f.bmp", {bmp.substr(0, 20), "BMP header is damaged"}},
      {"g.bmp", {rle, "run-length coded"}},
      {"h.bmp", {huge, "allowed are 1 to 2^30"}},
      {"i.bmp", {negative, "allowed are 1 to 2^30"}},
      {"j.jpg", {"\xff\xd8\xff", ""}},
      {"k.png", {"\x89PNG\r\n\x1a\n", "PNG header is damaged"}},
      {"l.jpg", {claim, "32768x32768 pixels in"}},
      {"n.jpg", {whole_claim, "32768x32768 pixels in"}},
      {"m.pfm", {"Pf\n1 1\n-1.0\n", "float maps are not read"}},
  };
  for (const auto& [file, content] : bad) set.folder.write(name(file), content.first);
  const YoloDataset data = set.load();
  CHECK(data.images.size() == 2);
  CHECK(data.left_out == static_cast<std::int64_t>(bad.size()));
  REQUIRE(data.warnings.size() == bad.size());
  std::size_t at = 0;
  for (const auto& [file, content] : bad) {
    CHECK_THAT(data.warnings[at], Contains(file) && Contains(content.second));
    CHECK(read_file(set.folder.path() / name(file)) == content.first);
    ++at;
  }
}

TEST_CASE("a PNG with a flipped bit is found by its checksum") {
  const DatasetFixture set;
  const cv::Mat rgb = gradient(kHeight, kWidth);
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = kWidth;
  header.height = kHeight;
  header.format = PNG_FORMAT_RGB;
  const fs::path file = set.file("a.png");
  REQUIRE(png_image_write_to_file(&header, file.c_str(), 0, rgb.data, 0, nullptr) != 0);
  check_decoded(file, rgb);
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  set.folder.write("a.png", bytes);
  CHECK_THROWS_WITH(read_image_header(file), Contains("wrong checksum"));
}
