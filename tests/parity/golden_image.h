/// \file
/// Images of the golden files: the synthetic formula, CRC-32 and the comparison of a whole image record.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <numeric>
#include <opencv2/core/mat.hpp>
#include <string>

#include "data/boxes.h"
#include "data/image_file.h"
#include "data/label_file.h"
#include "data/resized_images.h"
#include "data/sample.h"
#include "tests/support/golden_json.h"

namespace valbench::test {

/// CRC-32 (zlib, PNG) of RGB HWC pixels, rows top to bottom.
inline std::uint32_t crc32_of(const cv::Mat& image) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (int y = 0; y < image.rows; ++y) {
    const unsigned char* row = image.ptr(y);
    for (int x = 0; x < image.cols * 3; ++x) {
      crc ^= row[x];
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
    }
  }
  return ~crc;
}

/// The formula image of the golden page: t = (5x + 3y + 40c + floor(xy/64)) mod 512, folded.
inline cv::Mat formula_image(int h, int w) {
  cv::Mat image(h, w, CV_8UC3);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      for (int c = 0; c < 3; ++c) {
        const int t = (5 * x + 3 * y + 40 * c + x * y / 64) % 512;
        image.at<cv::Vec3b>(y, x)[c] = static_cast<unsigned char>(t < 256 ? t : 511 - t);
      }
    }
  }
  return image;
}

/// A number as the golden files write it: 10 significant digits.
inline double as_printed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return std::strtod(text, nullptr);
}

/// Holds an image against a record {shape_hw, sum_rgb, sumsq_rgb, crc32_rgb_hwc, pixels_y_x_r_g_b}: everything exact.
inline void compare_image(const cv::Mat& image, const nlohmann::json& golden, const std::string& name,
                          Deviations& deviations) {
  REQUIRE(image.rows == golden["shape_hw"][0].get<int>());
  REQUIRE(image.cols == golden["shape_hw"][1].get<int>());
  std::array<double, 3> sums{}, squares{};
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        const double value = image.at<cv::Vec3b>(y, x)[static_cast<int>(c)];
        sums[c] += value;
        squares[c] += value * value;
      }
    }
  }
  for (std::size_t c = 0; c < 3; ++c) {
    deviations.add(name + " sums", sums[c], golden["sum_rgb"][c], 0, 0);
    deviations.add(name + " sums of squares", squares[c], golden["sumsq_rgb"][c], 0, 0);
  }
  for (const auto& p : golden["pixels_y_x_r_g_b"]) {
    for (int c = 0; c < 3; ++c) deviations.add(name + " pixels", image.at<cv::Vec3b>(p[0], p[1])[c], p[2 + c], 0, 0);
  }
  deviations.add(name + " crc32", crc32_of(image), golden["crc32_rgb_hwc"].get<double>(), 0, 0);
}

/// The sums of the three planes that an item becomes in a batch (CHW).
inline void compare_planes(const cv::Mat& image, const nlohmann::json& golden, const std::string& name,
                           Deviations& deviations) {
  std::vector<std::uint8_t> planes(3 * image.total());
  to_planes(image, planes.data());
  for (std::size_t c = 0; c < 3; ++c) {
    const auto begin = planes.begin() + static_cast<std::ptrdiff_t>(c * image.total());
    const double sum = std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(image.total()), 0.0);
    deviations.add(name + " tensor sums", sum, golden[c], 0, 0);
  }
}

/// Label boxes against rows [class, x1, y1, x2, y2].
inline void compare_boxes(const std::vector<PixelBox>& boxes, const nlohmann::json& golden, const std::string& name,
                          Deviations& deviations) {
  REQUIRE(boxes.size() == golden.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const PixelBox& b = boxes[i];
    deviations.add(name + " classes", b.cls, golden[i][0], 0, 0);
    const std::array<float, 4> values = {b.x1, b.y1, b.x2, b.y2};
    for (std::size_t c = 0; c < 4; ++c) deviations.add(name + " px", values[c], golden[i][c + 1], 1e-3, 0);
  }
}

/// Final labels against rows [class, x, y, w, h].
inline void compare_rows(const std::vector<LabelRow>& rows, const nlohmann::json& golden, const std::string& name,
                         Deviations& deviations) {
  REQUIRE(rows.size() == golden.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const LabelRow& r = rows[i];
    deviations.add(name + " classes", r.cls, golden[i][0], 0, 0);
    const std::array<float, 4> values = {r.x, r.y, r.w, r.h};
    for (std::size_t c = 0; c < 4; ++c) deviations.add(name, values[c], golden[i][c + 1], 2e-6, 0);
  }
}

/// The files of a golden list, in its order, with their labels. The data set lies at ../data/<dataset> beside the
/// golden folder.
inline std::shared_ptr<YoloDataset> dataset_of(const std::string& dataset, const std::vector<std::string>& files) {
  auto out = std::make_shared<YoloDataset>();
  for (const std::string& file : files) {
    const std::filesystem::path path =
        std::filesystem::weakly_canonical(golden_folder() / ".." / "data" / dataset / file);
    const ImageHeader header = read_image_header(path);
    out->images.push_back({path, header.height, header.width, read_label_file(label_path(path)).rows});
  }
  return out;
}

}  // namespace valbench::test
