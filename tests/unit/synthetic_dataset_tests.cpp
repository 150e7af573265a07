#include "data/synthetic_dataset.h"

#include <map>

#include "base/error.h"
#include "base/file.h"
#include "data/yolo_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using valbench::test::ScratchFolder;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
  }
  return files;
}

}  // namespace

TEST_CASE("the same spec makes the same files, another seed makes others") {
  const ScratchFolder folder;
  SyntheticSpec spec;
  spec.train_images = 12;
  spec.val_images = 6;
  make_synthetic_dataset(spec, folder.path() / "a");
  make_synthetic_dataset(spec, folder.path() / "b");
  const auto a = contents(folder.path() / "a");
  CHECK(a == contents(folder.path() / "b"));
  spec.seed = 1;
  spec.val_images = 3;
  make_synthetic_dataset(spec, folder.path() / "b");  // Replaces the earlier set.
  const auto b = contents(folder.path() / "b");
  CHECK(b.count("images/val/val_000005.jpg") == 0);
  CHECK(a.at("images/train/train_000000.jpg") != b.at("images/train/train_000000.jpg"));
}

TEST_CASE("a synthetic set loads without warnings and holds every class, size and some backgrounds") {
  const ScratchFolder folder;
  SyntheticSpec spec;
  spec.train_images = 200;
  spec.val_images = 2;
  spec.classes = 5;
  make_synthetic_dataset(spec, folder.path() / "set");
  const DataConfig config = read_data_config(folder.path() / "set" / "data.yaml");
  CHECK(config.names.size() == 5);
  const YoloDataset data = load_yolo_dataset(config, Split::train, 2);
  CHECK(data.warnings.empty());
  CHECK(data.images.size() == 200);
  CHECK((data.backgrounds > 0 && data.backgrounds < 30));
  CHECK(static_cast<double>(data.labels) / 200 == Approx(4).margin(1));
  std::map<float, int> classes;
  int small = 0, large = 0;
  std::map<std::pair<int, int>, int> sizes;
  for (const ImageEntry& image : data.images) {
    ++sizes[{image.height, image.width}];
    for (const LabelRow& row : image.labels) {
      ++classes[row.cls];
      const float side = std::sqrt(row.w * static_cast<float>(image.width) * row.h * static_cast<float>(image.height));
      small += side < 16 ? 1 : 0;
      large += side > 30 ? 1 : 0;
    }
  }
  CHECK(classes.size() == 5);
  CHECK(small > data.labels / 5);
  CHECK(large > data.labels / 20);
  CHECK(sizes.size() > 3);
}

TEST_CASE("a folder with somebody's files is refused and left as it is") {
  const ScratchFolder folder;
  const fs::path photo = folder.write("set/images/train/photo.jpg", "mine");
  CHECK_THROWS_AS(make_synthetic_dataset({}, folder.path() / "set"), InputError);
  CHECK(read_file(photo) == "mine");
  CHECK(contents(folder.path() / "set").size() == 1);
}

TEST_CASE("impossible synthetic specs are refused before anything is written") {
  const ScratchFolder folder;
  const auto refused = [&](auto change, const std::string& key) {
    SyntheticSpec spec;
    change(spec);
    CHECK_THROWS_WITH(make_synthetic_dataset(spec, folder.path() / "set"), Contains(key));
    CHECK(!fs::exists(folder.path() / "set"));
  };
  refused([](SyntheticSpec& s) { s.train_images = 0; }, "train_images = 0");
  refused([](SyntheticSpec& s) { s.classes = 81; }, "classes = 81");
  refused([](SyntheticSpec& s) { s.width = 5; }, "5x96");
  refused([](SyntheticSpec& s) { s.quality = 0; }, "quality = 0");
  refused([](SyntheticSpec& s) { s.objects_per_image = 0; }, "objects_per_image = 0");
}
