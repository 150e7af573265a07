// Label files of every kind (reference yolov5.md §5.2, §5.3).
#include "data/label_file.h"

#include "base/error.h"
#include "base/file.h"
#include "tests/support/catch.h"
#include "tests/unit/dataset_fixture.h"

using namespace valbench;
using Catch::Matchers::Contains;
using valbench::test::DatasetFixture;
using valbench::test::ScratchFolder;

namespace {

LabelFile read_rows(const std::string& text) {
  const ScratchFolder folder;
  return read_label_file(folder.write("a.txt", text));
}

}  // namespace

TEST_CASE("an invalid label row leaves its image out with a warning that names file and line") {
  const auto [bad, reason] = GENERATE(table<std::string, std::string>({
      {"0 0.5 0.5 0.2", "4 columns, 5 expected"},
      {"0 0.5 0.5 0.2 0.2 0.1", "6 columns, 5 expected"},
      {"0", "1 columns, 5 expected"},
      {"0 0.5 0.5 0.2 1.2", "coordinate 1.2 is above 1"},
      {"0 120 80 40 40", "coordinate 120 is above 1 (not normalised"},
      {"0 -0.1 0.5 0.2 0.2", "value -0.1 is negative"},
      {"-1 0.5 0.5 0.2 0.2", "value -1 is negative"},
      {"0 0.5 x 0.2 0.2", "\"x\" is not a number"},
      {"cat 0.5 0.5 0.2 0.2", "\"cat\" is not a number"},
      {"0,0.5,0.5,0.2,0.2", "\"0,0.5,0.5,0.2,0.2\" is not a number"},
      {"0 nan 0.5 0.2 0.2", "\"nan\" is not a number"},
      {"0 inf 0.5 0.2 0.2", "\"inf\" is not a number"},
      {"0 1e999 0.5 0.2 0.2", "\"1e999\" is not a number"},
      {"0.5 0.5 0.5 0.2 0.2", "class 0.5 is not a whole number"},
      {"99999999999 0.5 0.5 0.2 0.2", "is no class number"},
      {"0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "a polygon needs a class and two or more x y pairs"},
      {"0 0.9 0.5 1.4 0.5 1.4 0.9", "of the box around the polygon"},
      {std::string("0 0.5\0 0.5 0.2 0.2", 18), "is not a number"},
  }));
  CAPTURE(bad);
  const DatasetFixture set;
  set.jpeg("images/train/good.jpg");
  set.jpeg("images/train/bad.jpg");
  set.label("good", "1 0.5 0.5 0.2 0.2\n");
  set.label("bad", "0 0.5 0.5 0.2 0.2\n" + bad + "\n");
  const YoloDataset data = set.load();
  CHECK(data.images.size() == 1);
  CHECK(data.left_out == 1);
  REQUIRE(data.warnings.size() == 1);
  CHECK_THAT(data.warnings[0], Contains("bad.txt:") && Contains("bad.jpg"));
  if (reason.find("polygon") == std::string::npos) CHECK_THAT(data.warnings[0], Contains("bad.txt:2: "));
  CHECK_THAT(data.warnings[0], Contains(reason));
}

TEST_CASE("label rows may be spaced, signed and ended as they like") {
  const LabelFile file = read_rows("  0\t0.5 5e-1   +0.25 .25 \r\n\n \t\n1 1 1 0 1.0");
  CHECK(file.error.empty());
  REQUIRE(file.rows.size() == 2);
  CHECK(file.rows[0].y == 0.5F);
  CHECK(file.rows[0].w == 0.25F);
  CHECK(file.rows[1].x == 1);
  CHECK(file.lines == std::vector<int>{1, 4});
  CHECK(file.polygons.empty());
}

TEST_CASE("one polygon makes all rows of a file polygons, each kept with the box around it") {
  const LabelFile file = read_rows("1 0.1 0.2 0.5 0.2 0.3 0.6\n0 0.2 0.2 0.4 0.8\n");
  CHECK(file.error.empty());
  REQUIRE(file.rows.size() == 2);
  CHECK(file.rows[0].x == Approx(0.3));
  CHECK(file.rows[0].y == Approx(0.4));
  CHECK(file.rows[0].w == Approx(0.4));
  CHECK(file.rows[0].h == Approx(0.4));
  // Read as two points, not as centre and size.
  CHECK(file.rows[1].x == Approx(0.3));
  CHECK(file.rows[1].y == Approx(0.5));
  CHECK(file.rows[1].w == Approx(0.2));
  CHECK(file.rows[1].h == Approx(0.6));
  REQUIRE(file.polygons.size() == 2);
  CHECK(file.polygons[0].size() == 3);
  CHECK(file.polygons[0][2].x == 0.3F);
  CHECK(file.polygons[0][2].y == 0.6F);
  CHECK(file.polygons[1].size() == 2);
}

TEST_CASE("a polygon's points may leave the image as long as its box does not") {
  const LabelFile file = read_rows("1 -0.01 0.2 0.5 0.2 0.3 0.6\n");
  CHECK(file.error.empty());
  REQUIRE(file.rows.size() == 1);
  CHECK(file.rows[0].w == Approx(0.51));
}

TEST_CASE("polygons stay with their rows when duplicates are removed") {
  const LabelFile file = read_rows(
      "1 0.1 0.1 0.5 0.1 0.5 0.5\n0 0.2 0.2 0.6 0.2 0.6 0.7\n1 0.1 0.1 0.5 0.1 0.5 0.5\n0 0.1 0.1 0.3 0.1 0.3 0.2\n");
  CHECK(file.duplicates == 1);
  REQUIRE(file.rows.size() == 3);
  REQUIRE(file.polygons.size() == 3);
  CHECK(file.lines == std::vector<int>{4, 2, 1});
  CHECK(file.polygons[0][2].y == 0.2F);
  CHECK(file.polygons[2][2].y == 0.5F);
}

TEST_CASE("a missing and an empty label file make a background, an unreadable one leaves the image out") {
  const DatasetFixture set;
  for (const char* name : {"a", "b", "c", "d"}) set.jpeg("images/train/" + std::string(name) + ".jpg");
  set.label("a", "0 0.5 0.5 0.2 0.2\n");
  set.label("b", "");
  set.label("c", " \n\n");
  const YoloDataset data = set.load();
  CHECK(data.images.size() == 4);
  CHECK(data.backgrounds == 3);
  CHECK(data.left_out == 0);
  CHECK(data.warnings.empty());
}

TEST_CASE("with a single class every label is class 0, whatever its number") {
  const DatasetFixture set;
  set.jpeg("images/train/a.jpg");
  set.label("a", "7 0.5 0.5 0.2 0.2\n1 0.25 0.5 0.2 0.2\n");
  const YoloDataset data = set.load(Split::train, {.single_cls = true});
  CHECK(data.classes == 1);
  CHECK(data.names == std::vector<std::string>{"item"});
  for (const LabelRow& row : data.images.at(0).labels) CHECK(row.cls == 0);
}
