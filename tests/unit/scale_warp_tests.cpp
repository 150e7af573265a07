// The loader's short cuts against OpenCV's functions over whole images: equal to the last bit.
#include "data/scale_warp.h"

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "data/letterbox.h"
#include "data/mosaic.h"
#include "data/resized_images.h"
#include "data/sample.h"
#include "data/sampler.h"
#include "tests/support/catch.h"
#include "tests/unit/dataset_fixture.h"

using namespace valbench;
using valbench::test::DatasetFixture;

namespace {

cv::Mat noise(int h, int w, std::uint64_t seed) {
  cv::Mat image(h, w, CV_8UC3);
  cv::RNG random(seed);
  random.fill(image, cv::RNG::UNIFORM, 0, 256);
  return image;
}

cv::Mat opencv_warp(const cv::Mat& image, const cv::Matx33d& matrix, int out_h, int out_w) {
  cv::Mat out;
  cv::warpAffine(image, out, cv::Mat(matrix).rowRange(0, 2), {out_w, out_h}, cv::INTER_LINEAR, cv::BORDER_CONSTANT,
                 cv::Scalar::all(kPaddingGrey));
  return out;
}

bool equal(const cv::Mat& a, const cv::Mat& b) {
  return a.size() == b.size() && a.type() == b.type() && cv::norm(a, b, cv::NORM_INF) == 0;
}

}  // namespace

TEST_CASE("scaling and moving an image equals cv::warpAffine bit for bit") {
  SampleRandom random(1, 2, 3);
  for (int i = 0; i < 400; ++i) {
    const int h = 1 + static_cast<int>(random.below(90)), w = 1 + static_cast<int>(random.below(90));
    const int out_h = 1 + static_cast<int>(random.below(80)), out_w = 1 + static_cast<int>(random.below(80));
    const bool same = i % 4 == 0;  // one scale for both axes, as in training
    const double sx = random.uniform(0.05, 3), sy = same ? sx : random.uniform(0.05, 3);
    const cv::Matx33d matrix(sx, 0, i % 5 == 0 ? 0 : random.uniform(-60, 60), 0, sy, random.uniform(-60, 60), 0, 0, 1);
    REQUIRE(only_scales(matrix));
    const cv::Mat image = noise(h, w, static_cast<std::uint64_t>(i));
    CAPTURE(i, h, w, out_h, out_w, sx, sy);
    REQUIRE(equal(scale_image(image, matrix, out_h, out_w), opencv_warp(image, matrix, out_h, out_w)));
  }
}

TEST_CASE("identity, whole pixels and halves equal cv::warpAffine too") {
  const cv::Mat image = noise(37, 41, 9);
  for (const double scale : {1.0, 0.5, 2.0, 1.0 / 3}) {
    for (const double shift : {0.0, 1.0, -1.0, 0.5, 1.0 / 64, -1.0 / 64, 40.0, -41.0, 1000.0, -1000.0}) {
      const cv::Matx33d matrix(scale, 0, shift, 0, scale, -shift, 0, 0, 1);
      CAPTURE(scale, shift);
      CHECK(equal(scale_image(image, matrix, 37, 41), opencv_warp(image, matrix, 37, 41)));
    }
  }
}

TEST_CASE("a turn, a shear, a mirror and a perspective are not taken for a scaling") {
  CHECK(!only_scales({1, 0.1, 0, 0, 1, 0, 0, 0, 1}));
  CHECK(!only_scales({1, 0, 0, 0.1, 1, 0, 0, 0, 1}));
  CHECK(!only_scales({-1, 0, 0, 0, 1, 0, 0, 0, 1}));
  CHECK(!only_scales({1, 0, 0, 0, 1, 0, 0.001, 0, 1}));
}

TEST_CASE("no warp reads a pixel outside of its region") {
  SampleRandom random(4, 5, 6);
  for (int i = 0; i < 200; ++i) {
    PerspectiveDraw draw;
    draw.scale = random.uniform(0.1, 1.9);
    draw.tx = random.uniform(0.1, 0.9), draw.ty = random.uniform(0.1, 0.9);
    if (i % 2 == 1) {
      draw.angle_deg = random.uniform(-180, 180);
      draw.shear_x_deg = random.uniform(-30, 30), draw.shear_y_deg = random.uniform(-30, 30);
    }
    const cv::Matx33d matrix = perspective_matrix(draw, 80, 80, 40, 40);
    const cv::Rect region = warped_region(matrix, 80, 80, 40, 40, false);
    const cv::Mat image = noise(80, 80, static_cast<std::uint64_t>(i));
    cv::Mat spoilt = noise(80, 80, 1000);
    image(region).copyTo(spoilt(region));
    CAPTURE(i, region.x, region.y, region.width, region.height);
    REQUIRE(equal(warp_image(image, matrix, 40, 40, false), warp_image(spoilt, matrix, 40, 40, false)));
  }
}

TEST_CASE("a mosaic item equals the warp of the whole canvas") {
  const DatasetFixture set;
  constexpr int kSize = 64;
  for (int i = 0; i < 6; ++i) {
    const std::string stem = "i" + std::to_string(i);
    set.jpeg("images/train/" + stem + ".jpg", 40 + 5 * i, 64);
    set.label(stem, "0 0.5 0.5 0.4 0.4\n");
  }
  const auto dataset = std::make_shared<const YoloDataset>(set.load());
  const ResizedImages images(dataset, {.imgsz = kSize, .keep = false});
  Hyperparameters hyp;
  hyp.hsv_h = hyp.hsv_s = hyp.hsv_v = hyp.fliplr = 0;
  for (std::int64_t i = 0; i < 60; ++i) {
    hyp.degrees = i % 3 == 2 ? 20 : 0;
    SampleRandom random(7, 0, static_cast<std::uint64_t>(i));
    const ItemDraw draw = draw_item(hyp, kSize, i % 6, 6, random);
    std::array<MosaicTile, 4> tiles;
    for (std::size_t t = 0; t < 4; ++t) {
      const auto index = draw.tiles.tiles[t];
      tiles[t] = {images.image(index), &dataset->images[static_cast<std::size_t>(index)].labels};
    }
    const LabelledImage canvas =
        mosaic_canvas(tiles, kSize, static_cast<int>(draw.tiles.yc), static_cast<int>(draw.tiles.xc));
    const cv::Matx33d matrix = perspective_matrix(draw.tiles.perspective, 2 * kSize, 2 * kSize, kSize, kSize);
    CAPTURE(i);
    REQUIRE(equal(training_sample(images, i % 6, draw).image, opencv_warp(canvas.image, matrix, kSize, kSize)));
  }
}
