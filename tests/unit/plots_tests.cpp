// The pictures: each decodes, has its size, and has ink where the data are.
#include "plots/plots.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "plots/axes.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using valbench::test::ScratchFolder;

namespace {

struct Picture {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
  std::array<int, 3> at(int x, int y) const {
    const auto i = static_cast<std::size_t>(3 * (y * width + x));
    return {rgb[i], rgb[i + 1], rgb[i + 2]};
  }
  int darkness(int x, int y) const { return 765 - at(x, y)[0] - at(x, y)[1] - at(x, y)[2]; }
  /// Pixels of [x, x + w) x [y, y + h) that are near a colour.
  int count(int x, int y, int w, int h, std::array<int, 3> color, int tolerance = 30) const {
    int found = 0;
    for (int v = y; v < y + h; ++v) {
      for (int u = x; u < x + w; ++u) {
        const auto p = at(u, v);
        found += std::abs(p[0] - color[0]) + std::abs(p[1] - color[1]) + std::abs(p[2] - color[2]) <= tolerance;
      }
    }
    return found;
  }
};

constexpr std::array<int, 3> kBlue = {37, 99, 235}, kRed = {220, 38, 38};

Picture read_png(const std::filesystem::path& file) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_file(&image, file.c_str()) != 0);
  image.format = PNG_FORMAT_RGB;
  Picture picture{static_cast<int>(image.width), static_cast<int>(image.height), {}};
  picture.rgb.resize(PNG_IMAGE_SIZE(image));
  REQUIRE(png_image_finish_read(&image, nullptr, picture.rgb.data(), 0, nullptr) != 0);
  return picture;
}

CurvesPlot step_curves() {
  CurvesPlot plot{
      "Precision-recall", "Recall", "Precision", {}, {{"cell 0.500", {}}}, {"all classes 0.900 mAP@0.5", {}}};
  for (int i = 0; i <= 100; ++i) {
    plot.x.push_back(i / 100.0);
    plot.classes[0].y.push_back(0.25);
    plot.mean.y.push_back(0.75);
  }
  return plot;
}

std::vector<Detection> detections_of(const std::vector<Label>& labels) {
  std::vector<Detection> detections;
  for (const Label& l : labels) detections.push_back({l.x1, l.y1, l.x2, l.y2, 0.9F, l.cls});
  return detections;
}

const char* const kResultsHeader =
    "epoch, train/box_loss, train/obj_loss, train/cls_loss, metrics/precision, metrics/recall, metrics/mAP_0.5,"
    "metrics/mAP_0.5:0.95, val/box_loss, val/obj_loss, val/cls_loss, x/lr0, x/lr1, x/lr2\n";

}  // namespace

TEST_CASE("curves lie at their heights: the mean bold, a class thin, nothing between them") {
  const ScratchFolder folder;
  write_curves_png(folder.path() / "PR_curve.png", step_curves());
  const Picture picture = read_png(folder.path() / "PR_curve.png");
  REQUIRE(picture.width == 1100);
  REQUIRE(picture.height == 720);
  // The axes span x 80..820 and y 56..646: 0.75 lies at 203.5, 0.25 at 498.5.
  CHECK(picture.count(200, 199, 300, 9, kBlue) >= 3 * 300);
  CHECK(picture.count(200, 494, 300, 9, kRed, 60) >= 300);
  CHECK(picture.count(200, 230, 300, 240, kBlue) == 0);
  CHECK(picture.count(840, 40, 260, 100, kBlue) > 20);  // legend
}

TEST_CASE("a gap in a curve stays white, and a curve of the wrong length is refused by name") {
  const ScratchFolder folder;
  CurvesPlot plot = step_curves();
  for (std::size_t i = 40; i <= 60; ++i) plot.mean.y[i] = std::numeric_limits<double>::quiet_NaN();
  write_curves_png(folder.path() / "gap.png", plot);
  const Picture picture = read_png(folder.path() / "gap.png");
  CHECK(picture.count(390, 199, 100, 9, kBlue) == 0);
  CHECK(picture.count(100, 199, 100, 9, kBlue) > 200);
  plot.classes[0].y.pop_back();
  CHECK_THROWS_WITH(write_curves_png(folder.path() / "bad.png", plot), Catch::Contains("`cell 0.500` has 100 values"));
}

TEST_CASE("a perfect confusion matrix has a dark diagonal and a white rest") {
  const ScratchFolder folder;
  ConfusionMatrix matrix(3);
  const std::vector<Label> labels = {{0, 0, 0, 10, 10}, {1, 20, 20, 40, 40}, {2, 50, 50, 90, 90}};
  matrix.add_image(detections_of(labels), labels);
  write_confusion_matrix_png(folder.path() / "confusion.png", matrix, {"RBC", "WBC", "Platelets"});
  const Picture picture = read_png(folder.path() / "confusion.png");
  REQUIRE(picture.width == 1000);
  REQUIRE(picture.height == 900);
  for (int row = 0; row < 4; ++row) {
    for (int column = 0; column < 4; ++column) {
      INFO("row " << row << ", column " << column);
      const int darkness = picture.darkness(150 + 180 * column + 20, 50 + 180 * row + 20);
      if (row == column && row < 3)
        CHECK(darkness > 400);
      else
        CHECK(darkness == 0);
    }
  }
  CHECK_THROWS_WITH(write_confusion_matrix_png(folder.path() / "bad.png", matrix, {"RBC"}),
                    Catch::Contains("1 names for 3 classes"));
}

TEST_CASE("ticks are told apart by their labels, and epochs are whole") {
  using namespace valbench::plots;
  CHECK(tick_labels({0.001675, 0.00168, 0.001685}) == std::vector<std::string>{"0.001675", "0.00168", "0.001685"});
  CHECK(tick_labels({0, 0.5, 1}) == std::vector<std::string>{"0.0", "0.5", "1.0"});
  CHECK(tick_labels({2'000'000, 2'000'500}) == std::vector<std::string>{"2e+06", "2.0005e+06"});
  CHECK(round_ticks({0, 1.06}, 4) == std::vector<double>{0, 0.5, 1});
  CHECK(round_ticks({0, 1.06}, 4, /*whole=*/true) == std::vector<double>{0, 1});
}

TEST_CASE("results.csv in YOLOv5's columns becomes ten panels, each with its line") {
  const ScratchFolder folder;
  std::string text = kResultsHeader;
  for (int epoch = 0; epoch < 3; ++epoch) {
    text += std::to_string(epoch);
    for (int column = 1; column < 14; ++column)
      text += ",                " + std::to_string(column) + "." + std::to_string(epoch);
    text += "\n";
  }
  const ResultsPlot plot = read_results_csv(folder.write("results.csv", text));
  CHECK(plot.epochs == std::vector<double>{0, 1, 2});
  REQUIRE(plot.columns.size() == 10);
  CHECK(plot.columns[3].y == std::vector<double>{4.0, 4.1, 4.2});
  CHECK(plot.columns[5].y == std::vector<double>{8.0, 8.1, 8.2});
  CHECK(plot.columns[9].label == "metrics/mAP_0.5:0.95");
  CHECK(plot.columns[9].y == std::vector<double>{7.0, 7.1, 7.2});
  write_results_png(folder.path() / "results.png", plot);
  const Picture picture = read_png(folder.path() / "results.png");
  REQUIRE(picture.width == 1520);
  REQUIRE(picture.height == 620);
  for (int panel = 0; panel < 10; ++panel) {
    INFO("panel " << panel);
    const int x = 70 + panel % 5 * 300, y = 46 + panel / 5 * 300;
    CHECK(picture.count(x, y, 215, 200, kBlue) > 200);
    CHECK(picture.count(x + 2, y + 2, 80, 60, kBlue) == 0);  // the lines rise
  }
}

TEST_CASE("a results.csv that cannot be drawn is refused with its line") {
  const ScratchFolder folder;
  CHECK_THROWS_WITH(read_results_csv(folder.write("a.csv", "epoch, loss\n1, 2\n")),
                    Catch::Contains("a.csv:1: there is no column `train/box_loss`"));
  CHECK_THROWS_WITH(read_results_csv(folder.write("b.csv", std::string(kResultsHeader) + "0,1,2\n")),
                    Catch::Contains("b.csv:2: 3 cells under 14"));
  CHECK_THROWS_WITH(
      read_results_csv(folder.write(
          "c.csv", std::string(kResultsHeader) + "0,1,2,3,4,5,6,7,8,9,10,11,x,13\n0,1,2,3,x,5,6,7,8,9,10,11,12,13\n")),
      Catch::Contains("c.csv:3: `x` is no number"));
}

TEST_CASE("the labels picture shows counts, shapes, centres and sizes where they are") {
  const ScratchFolder folder;
  std::vector<LabelBox> labels(40, {0, 0.25F, 0.75F, 0.5F, 0.1F});
  labels.resize(50, {1, 0.25F, 0.75F, 0.5F, 0.1F});
  write_labels_png(folder.path() / "labels.png", labels, {"RBC", "WBC"});
  const Picture picture = read_png(folder.path() / "labels.png");
  REQUIRE(picture.width == 1120);
  REQUIRE(picture.height == 1120);
  const auto bar = [&](int x) { return picture.count(x, 50, 1, 400, kBlue) + picture.count(x, 50, 1, 400, kRed); };
  CHECK(bar(90 + 140) > 3.5 * bar(90 + 290));  // off the numbers above the bars
  CHECK(bar(90 + 290) > 80);
  // Centres in the picture's lower left quarter, as in the image; sizes at (0.5, 0.1).
  CHECK(picture.darkness(90 + 430 / 4 + 3, 600 + 300 - 3) > 400);
  CHECK(picture.darkness(640 + 215 + 3, 600 + 360 - 3) > 400);
  CHECK(picture.count(90 + 220, 610, 200, 380, {15, 23, 75}) == 0);
  CHECK_THROWS_WITH(write_labels_png(folder.path() / "bad.png", labels, {"RBC"}),
                    Catch::Contains("label 40 has class 1; allowed are 0..0"));
}

TEST_CASE("a batch keeps its pixels and has each box in its class's colour, planar and interleaved alike") {
  const ScratchFolder folder;
  std::vector<std::uint8_t> planar(3 * 64 * 96, 10), interleaved(3 * 64 * 96, 10);
  std::fill(planar.begin() + 64 * 96, planar.begin() + 2 * 64 * 96, std::uint8_t{200});
  for (std::size_t i = 1; i < interleaved.size(); i += 3) interleaved[i] = 200;
  BatchImage image{
      .height = 64, .width = 96, .rgb = planar, .planar = true, .name = "", .boxes = {{20, 20, 60, 50, 1, 0.5F}}};
  std::vector<BatchImage> images(2, image);
  images[1].rgb = interleaved, images[1].planar = false, images[1].boxes[0].cls = 0, images[1].boxes[0].score = -1;
  write_batch_png(folder.path() / "batch.png", images, {"a", "b"});
  const Picture picture = read_png(folder.path() / "batch.png");
  // Four times as large as they are: 400 px or a little less.
  REQUIRE(picture.width == 2 * 4 * 96 + 4);
  REQUIRE(picture.height == 4 * 64);
  CHECK(picture.at(40, 40) == std::array<int, 3>{10, 200, 10});
  CHECK(picture.at(388 + 40, 40) == std::array<int, 3>{10, 200, 10});
  CHECK(picture.at(160, 140) == std::array<int, 3>{10, 200, 10});
  CHECK(picture.count(80, 199, 160, 2, kRed) >= 280);
  CHECK(picture.count(388 + 80, 199, 160, 2, kBlue) >= 280);
  images[0].rgb = images[0].rgb.first(100);
  CHECK_THROWS_WITH(write_batch_png(folder.path() / "bad.png", images, {"a", "b"}),
                    Catch::Contains("image 0 is 64 x 96 with 100 bytes"));
  images[0] = image, images[0].boxes[0].cls = 2;
  CHECK_THROWS_WITH(write_batch_png(folder.path() / "bad.png", images, {"a", "b"}),
                    Catch::Contains("class 2; allowed are 0..1"));
}

TEST_CASE("equal data give equal bytes") {
  const ScratchFolder folder;
  write_curves_png(folder.path() / "a.png", step_curves());
  write_curves_png(folder.path() / "b.png", step_curves());
  CHECK(read_file(folder.path() / "a.png") == read_file(folder.path() / "b.png"));
}

TEST_CASE("pictures of nothing are drawn too, and of no image are refused") {
  const ScratchFolder folder;
  write_labels_png(folder.path() / "labels.png", {}, {});
  write_results_png(folder.path() / "results.png", {});
  write_curves_png(folder.path() / "curves.png", {"nothing", "x", "y", {}, {}, {"none", {}}});
  write_confusion_matrix_png(folder.path() / "confusion.png", ConfusionMatrix(80),
                             std::vector<std::string>(80, "name"));
  CHECK(read_png(folder.path() / "confusion.png").width == 1000);
  CHECK_THROWS_WITH(write_batch_png(folder.path() / "batch.png", {}, {}), Catch::Contains("there is no image"));
}
