#include "data/yolo_dataset.h"

#include <png.h>

#include <opencv2/core.hpp>

#include "base/error.h"
#include "base/file.h"
#include "data/batch_plan.h"
#include "data/image_file.h"
#include "data/label_file.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "tests/unit/dataset_fixture.h"

using namespace valbench;
using Catch::Matchers::Contains;
using valbench::test::gradient;
using valbench::test::ScratchFolder;
using Fixture = valbench::test::DatasetFixture;
namespace fs = std::filesystem;

TEST_CASE("a split is scanned in path order with sizes, labels and backgrounds") {
  const Fixture set;
  set.jpeg("images/train/b.jpg", 48, 64);
  set.jpeg("images/train/sub/a.JPG", 40, 30);
  set.jpeg("images/train/c.jpeg", 20, 20);
  set.label("b", "0 0.5 0.5 0.2 0.2\n1 0.25 0.5 0.1 0.3\n");
  set.label("c", "\n");
  const YoloDataset data = set.load();
  REQUIRE(data.images.size() == 3);
  CHECK(data.images[0].file.filename() == "b.jpg");
  CHECK(data.images[2].file.filename() == "a.JPG");
  CHECK(data.images[2].height == 40);
  CHECK(data.images[2].width == 30);
  CHECK(data.images[0].labels.size() == 2);
  CHECK(data.labels == 2);
  CHECK(data.backgrounds == 2);
  CHECK(data.classes == 2);
  CHECK(data.warnings.empty());
}

TEST_CASE("duplicate label rows are removed and the rest is sorted, with a warning") {
  const Fixture set;
  set.jpeg("images/train/a.jpg");
  set.label("a", "1 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n");
  const YoloDataset data = set.load();
  REQUIRE(data.images[0].labels.size() == 2);
  CHECK(data.images[0].labels[0].cls == 0);
  REQUIRE(data.warnings.size() == 1);
  CHECK_THAT(data.warnings[0], Contains("1 duplicate"));
}

TEST_CASE("images that cannot be used are left out with a warning each") {
  const Fixture set;
  set.jpeg("images/train/good.jpg");
  set.label("good", "0 0.5 0.5 0.2 0.2\n");
  set.jpeg("images/train/small.jpg", 9, 64);
  set.folder.write("images/train/noise.jpg", "this is no image");
  set.folder.write("images/train/empty.png", "");
  set.folder.write("images/train/raw.dng", "II*");
  set.folder.write("images/train/readme.md", "not listed at all");
  const YoloDataset data = set.load();
  CHECK(data.images.size() == 1);
  REQUIRE(data.warnings.size() == 4);
  CHECK(data.left_out == 4);
  CHECK_THAT(data.warnings[0], Contains("empty.png") && Contains("empty (0 bytes)"));
  CHECK_THAT(data.warnings[1], Contains("noise.jpg") && Contains("neither a JPEG, PNG"));
  CHECK_THAT(data.warnings[2], Contains("raw.dng") && Contains("camera raw") && Contains("Convert"));
  CHECK_THAT(data.warnings[3], Contains("small.jpg") && Contains("under 10 pixels"));
}

TEST_CASE("a truncated JPEG is decoded as far as it goes, counted, and left untouched") {
  const Fixture set;
  const fs::path file = set.jpeg("images/train/cut.jpg", 96, 128);
  set.label("cut", "0 0.5 0.5 0.2 0.2\n");
  const cv::Mat whole = read_image(file);
  const std::string bytes = read_file(file).substr(0, fs::file_size(file) * 9 / 10);
  set.folder.write("images/train/cut.jpg", bytes);
  const YoloDataset data = set.load();
  CHECK(data.images.size() == 1);
  REQUIRE(data.warnings.size() == 1);
  CHECK_THAT(data.warnings[0], Contains("cut.jpg: truncated JPEG"));
  const cv::Mat part = read_image(file);
  CHECK(part.size() == whole.size());
  CHECK(cv::norm(part.rowRange(0, 16), whole.rowRange(0, 16)) == 0);
  CHECK(read_file(file) == bytes);
}

TEST_CASE("PNGs are read in every colour type, and a truncated one is left out") {
  const Fixture set;
  fs::create_directories(set.folder.path() / "images/train");
  const cv::Mat rgb = gradient(20, 24);
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = 24;
  header.height = 20;
  header.format = PNG_FORMAT_RGB;
  const fs::path colour = set.folder.path() / "images/train/colour.png",
                 grey = set.folder.path() / "images/train/grey.png";
  REQUIRE(png_image_write_to_file(&header, colour.c_str(), 0, rgb.data, 0, nullptr) != 0);
  header.format = PNG_FORMAT_GRAY;
  cv::Mat plane;
  cv::extractChannel(rgb, plane, 0);
  REQUIRE(png_image_write_to_file(&header, grey.c_str(), 0, plane.data, 0, nullptr) != 0);
  CHECK(cv::norm(read_image(colour), rgb) == 0);
  CHECK(read_image(grey).at<cv::Vec3b>(7, 9) == cv::Vec3b::all(plane.at<unsigned char>(7, 9)));
  set.label("colour", "0 0.5 0.5 0.2 0.2\n");
  CHECK(set.load().images.size() == 2);
  const std::string bytes = read_file(colour);
  set.folder.write("images/train/grey.png", bytes.substr(0, bytes.size() - 20));
  const YoloDataset data = set.load();
  CHECK(data.images.size() == 1);
  REQUIRE(data.warnings.size() == 1);
  CHECK_THAT(data.warnings[0], Contains("grey.png") && Contains("ends early"));
}

TEST_CASE("a JPEG is turned as its EXIF orientation says") {
  const Fixture set;
  const fs::path file = set.jpeg("images/train/a.jpg", 48, 64);
  const cv::Mat upright = read_image(file);
  const char exif[] =
      "\xff\xe1\x00\x22"
      "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
  std::string bytes = read_file(file);
  bytes.insert(2, std::string(exif, sizeof exif - 1));
  set.folder.write("images/train/a.jpg", bytes);
  const ImageHeader header = read_image_header(file);
  CHECK(header.height == 64);
  CHECK(header.width == 48);
  const cv::Mat turned = read_image(file);  // 6: a quarter turn clockwise
  REQUIRE(turned.rows == 64);
  CHECK(turned.at<cv::Vec3b>(0, 47) == upright.at<cv::Vec3b>(0, 0));
  CHECK(turned.at<cv::Vec3b>(63, 47) == upright.at<cv::Vec3b>(0, 63));
}

TEST_CASE("a class out of range is refused with file and line") {
  const Fixture set;
  set.jpeg("images/train/a.jpg");
  set.label("a", "0 0.5 0.5 0.2 0.2\n2 0.5 0.5 0.2 0.2\n");
  CHECK_THROWS_AS(set.load(), InputError);
  CHECK_THROWS_WITH(set.load(), Contains("a.txt:2: class 2 is out of range") && Contains("2 classes"));
}

TEST_CASE("missing and empty splits are refused") {
  const Fixture set;
  CHECK_THROWS_WITH(set.load(), Contains("images/train does not exist"));
  fs::create_directories(set.folder.path() / "images/train");
  CHECK_THROWS_WITH(set.load(), Contains("no images in"));
  set.folder.write("images/train/a.jpg", "junk");
  CHECK_THROWS_WITH(set.load(), Contains("none of 1 images can be used"));
  set.jpeg("images/train/a.jpg");
  CHECK_THROWS_WITH(set.load(), Contains("no label files found") && Contains("labels/train/a.txt"));
  set.label("a", "");
  CHECK_THROWS_WITH(set.load(), Contains("all label files are empty"));
  CHECK_THROWS_WITH(set.load(Split::test), Contains("test: not given"));
}

TEST_CASE("a list of images may repeat them and is relative to its folder") {
  const Fixture set;
  set.jpeg("images/train/a.jpg");
  set.label("a", "0 0.5 0.5 0.2 0.2\n");
  set.folder.write("list.txt", "./images/train/a.jpg\nimages/train/a.jpg\r\n\n");
  set.folder.write("data.yaml", "train: [list.txt]\nval: images/train\nnames: {0: cat, 1: dog}\n");
  const YoloDataset data = set.load();
  CHECK(data.images.size() == 2);
  CHECK(data.labels == 2);
}

TEST_CASE("the last images folder of a path becomes the labels folder") {
  CHECK(label_path("/data/images/x/images/train/a.b.jpg") == "/data/images/x/labels/train/a.b.txt");
  CHECK(label_path("/data/pictures/a.jpg") == "/data/pictures/a.txt");
}

TEST_CASE("a wrong data.yaml is refused with line, key and fix") {
  const ScratchFolder folder;
  const auto message = [&](const std::string& text) -> std::string {
    try {
      read_data_config(folder.write("data.yaml", text));
    } catch (const ScenarioError& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK_THAT(message("train: a\nval: b\n"), Contains("data.yaml:1: names: missing"));
  CHECK_THAT(message("train: a\nnames: [x]\n"), Contains("val: missing"));
  CHECK_THAT(message("train: a\nval: b\nnames: {0: x, 2: y}\n"), Contains("data.yaml:3: names: class 1 is missing"));
  CHECK_THAT(message("train: a\nval: b\nnames: {zero: x}\n"), Contains("\"zero\" is not a class number"));
  CHECK_THAT(message("train: {a: b}\nval: b\nnames: [x]\n"), Contains("data.yaml:1: train must be a text"));
  CHECK_THAT(message("train: []\nval: b\nnames: [x]\n"), Contains("train: empty list"));
  CHECK_THAT(message("train: a\nval: b\nnames: []\n"), Contains("names: empty"));
  CHECK_THAT(message("train: [a\nval: b\n"), Contains("not valid YAML"));
  CHECK_THAT(message("just text"), Contains("not a map"));
  CHECK(message("path: .\ntrain: a\nval: b\nnc: 7\nnames: [x]\n") == "accepted");
  CHECK_THROWS_WITH(read_data_config(folder.path() / "none.yaml"), Contains("no such data.yaml"));
}

TEST_CASE("paths of data.yaml are relative to its path key, and that to the file") {
  const ScratchFolder folder;
  folder.write("set/train/images/a.jpg", "");
  const DataConfig config = read_data_config(
      folder.write("yaml/data.yaml", "path: ../set\ntrain: ../train/images\nval: /abs/val\nnames: [x]\n"));
  // "../train" as some exporters write it: taken without the "../" where only that exists.
  CHECK(config.train.at(0) == (folder.path() / "set/train/images"));
  CHECK(config.val.at(0) == "/abs/val");
  CHECK(config.test.empty());
}

TEST_CASE("a validation subset is seeded, sorted and never empty") {
  YoloDataset data;
  data.images.resize(100);
  ValidationSpec spec;
  CHECK(validation_subset(data, spec).size() == 100);
  spec.subset_fraction = 0.25;
  const auto quarter = validation_subset(data, spec);
  CHECK(quarter.size() == 25);
  CHECK(std::is_sorted(quarter.begin(), quarter.end()));
  CHECK(quarter == validation_subset(data, spec));
  spec.subset_seed = 1;
  CHECK(quarter != validation_subset(data, spec));
  spec.subset_count = 7;
  CHECK(validation_subset(data, spec).size() == 7);
  spec.subset_count = 0;
  spec.subset_fraction = 0.001;
  CHECK(validation_subset(data, spec).size() == 1);
}

TEST_CASE("batches of a subset hold exactly its images, and square batches keep their order") {
  YoloDataset data;
  for (int i = 0; i < 7; ++i) data.images.push_back({"", 100 + i % 3 * 50, 150, {}});
  const auto square = plan_validation_batches(data, {1, 3, 4, 6}, 96, 3, 32, BatchShape::square);
  REQUIRE(square.size() == 2);
  CHECK(square[0].images == std::vector<std::int64_t>{1, 3, 4});
  CHECK(square[1].images == std::vector<std::int64_t>{6});
  CHECK(square[1].height == 96);
  const auto rect = plan_validation_batches(data, {}, 96, 4, 32, BatchShape::rect);
  REQUIRE(rect.size() == 2);
  // Ratios 2/3 come first, by path among equals.
  CHECK(rect[0].images == std::vector<std::int64_t>{0, 3, 6, 1});
  CHECK(rect[0].width == 128);
  CHECK(rect[1].images == std::vector<std::int64_t>{4, 2, 5});
}
