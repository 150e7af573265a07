// Test-time augmentation against a reference that goes pixel by pixel and row by row (reference yolov5.md §6.11).
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "detect/test_time_augmentation.h"
#include "detect/weights/safetensors.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

constexpr int kStride = 32;

at::Tensor pattern(std::int64_t h, std::int64_t w) {
  at::Tensor image = at::empty({1, 3, h, w});
  float* value = image.data_ptr<float>();
  for (std::int64_t i = 0; i < image.numel(); ++i) value[i] = static_cast<float>((i * 7919 + i / w * 31) % 256) / 255.F;
  return image;
}

/// Bilinear with half-pixel centres, the edge held; then grey up to the padded size.
at::Tensor resized(const at::Tensor& image, double scale) {
  const std::int64_t h = image.size(2), w = image.size(3);
  const auto new_h = static_cast<std::int64_t>(static_cast<double>(h) * scale);
  const auto new_w = static_cast<std::int64_t>(static_cast<double>(w) * scale);
  const auto padded = [&](std::int64_t side) {
    std::int64_t size = 0;
    while (static_cast<double>(size) < static_cast<double>(side) * scale) size += kStride;
    return size;
  };
  at::Tensor out = at::full({1, 3, padded(h), padded(w)}, 0.447);
  const auto in = image.accessor<float, 4>();
  auto to = out.accessor<float, 4>();
  const auto source = [](std::int64_t at, std::int64_t from_size, std::int64_t to_size) {
    const double ratio = static_cast<double>(from_size) / static_cast<double>(to_size);
    return std::max(0.0, (static_cast<double>(at) + 0.5) * ratio - 0.5);
  };
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t y = 0; y < new_h; ++y) {
      for (std::int64_t x = 0; x < new_w; ++x) {
        const double sy = source(y, h, new_h), sx = source(x, w, new_w);
        const auto y0 = static_cast<std::int64_t>(sy), x0 = static_cast<std::int64_t>(sx);
        const std::int64_t y1 = std::min(y0 + 1, h - 1), x1 = std::min(x0 + 1, w - 1);
        const double fy = sy - static_cast<double>(y0), fx = sx - static_cast<double>(x0);
        to[0][c][y][x] = static_cast<float>((1 - fy) * ((1 - fx) * in[0][c][y0][x0] + fx * in[0][c][y0][x1]) +
                                            fy * ((1 - fx) * in[0][c][y1][x0] + fx * in[0][c][y1][x1]));
      }
    }
  }
  return out;
}

at::Tensor mirrored(const at::Tensor& image) {
  at::Tensor out = image.clone();
  const auto in = image.accessor<float, 4>();
  auto to = out.accessor<float, 4>();
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t y = 0; y < image.size(2); ++y) {
      for (std::int64_t x = 0; x < image.size(3); ++x) to[0][c][y][x] = in[0][c][y][image.size(3) - 1 - x];
    }
  }
  return out;
}

/// Trained weights: an untrained network says the same about every image, and nothing would be tested.
std::unique_ptr<DetectionModel> trained_model() {
  const char* source = std::getenv("VALBENCH_SOURCE");
  auto model = make_yolov5("yolov5n", 3, 0);
  const auto file = read_safetensors(std::filesystem::path(source != nullptr ? source : ".") / "scenarios/weights/quickstart.safetensors");
  REQUIRE(load_matching_state(*model, file.tensors) == static_cast<int>(model->state().size()));
  return model;
}

using Row = std::array<float, 8>;  ///< x y w h, objectness, three classes.

std::vector<Row> reference_rows(DetectionModel& model, const at::Tensor& image) {
  const double scales[] = {1, 0.83, 0.67};
  std::vector<Row> rows;
  for (int s = 0; s < 3; ++s) {
    const at::Tensor flipped = s == 1 ? mirrored(image) : image;
    const at::Tensor input = s == 0 ? flipped : resized(flipped, scales[s]);
    const at::Tensor decoded = model.decode(model.forward(input, false)).contiguous();
    const auto value = decoded.accessor<float, 3>();
    std::int64_t row = 0;
    for (int level = 0; level < 3; ++level) {
      const std::int64_t cell = 8 << level;
      const std::int64_t count = 3 * (input.size(2) / cell) * (input.size(3) / cell);
      const bool dropped = (s == 0 && level == 2) || (s == 2 && level == 0);
      for (std::int64_t i = 0; i < count; ++i, ++row) {
        if (dropped) continue;
        Row r{};
        for (std::size_t k = 0; k < r.size(); ++k) r[k] = value[0][row][static_cast<std::int64_t>(k)];
        for (std::size_t k = 0; k < 4; ++k) r[k] /= static_cast<float>(scales[s]);
        if (s == 1) r[0] = static_cast<float>(image.size(3)) - r[0];
        rows.push_back(r);
      }
    }
    REQUIRE(row == decoded.size(1));
  }
  return rows;
}

}  // namespace

TEST_CASE("test-time augmentation predicts at three scales, one mirrored, without the outermost levels") {
  const c10::NoGradGuard no_gradients;
  const auto model = trained_model();
  const at::Tensor image = pattern(96, 160);
  const auto expected = reference_rows(*model, image);
  const at::Tensor actual = predict_augmented(*model, image).contiguous();
  REQUIRE(actual.sizes().vec() == std::vector<std::int64_t>{1, static_cast<std::int64_t>(expected.size()), 8});
  const auto value = actual.accessor<float, 3>();
  float largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (std::size_t k = 0; k < expected[i].size(); ++k) {
      largest = std::max(largest, std::abs(value[0][static_cast<std::int64_t>(i)][static_cast<std::int64_t>(k)] - expected[i][k]));
    }
  }
  const at::Tensor other = predict_augmented(*model, image.flip({2}));
  REQUIRE((other - actual).abs().max().item<float>() > 1);
  std::printf("augmented rows: largest deviation %.3g px, tolerance 1e-3\n", static_cast<double>(largest));
  CHECK(largest < 1e-3F);
}

TEST_CASE("images are padded to the largest stride, in whatever order a model names its levels") {
  const c10::NoGradGuard no_gradients;
  const char* source = std::getenv("VALBENCH_SOURCE");
  const auto file = std::filesystem::path(source != nullptr ? source : ".") / "tests/data/models/down_order.yaml";
  const auto model = make_yolov5(file.string(), 80, 0);
  REQUIRE(model->strides() == std::vector<int>{16, 8});
  CHECK(largest_stride(*model) == 16);
  CHECK(size_multiple(*model) == 32);
  // Two anchors a cell on 64x96, 64x80 and 48x80 pixels: the first level, both, and the last level.
  CHECK(predict_augmented(*model, pattern(64, 96)).size(1) == 2 * (4 * 6) + 2 * (4 * 5 + 8 * 10) + 2 * (6 * 10));
}

TEST_CASE("an image scaled for augmentation is padded with grey to a multiple of the stride") {
  const at::Tensor image = at::zeros({1, 3, 320, 320});
  const at::Tensor scaled = scaled_for_augmentation(image, 0.83, kStride);
  CHECK(scaled.size(2) == 288);  // 265 pixels of the image, then grey.
  CHECK(scaled[0][0][264][264].item<float>() == 0);
  CHECK(scaled[0][0][265][0].item<float>() == 0.447F);
  CHECK(scaled[0][0][0][287].item<float>() == 0.447F);
  CHECK(scaled_for_augmentation(image, 1, kStride).is_same(image));
}
