// Images kept on disk.
#include "data/pixel_files.h"

#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "data/label_file.h"
#include "data/resized_images.h"
#include "tests/support/catch.h"
#include "tests/unit/dataset_fixture.h"

using namespace valbench;
using valbench::test::DatasetFixture;
using valbench::test::gradient;
using valbench::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kPlenty = 1 << 24;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("an image kept on disk comes back bit for bit, in another process's object too") {
  const ScratchFolder folder;
  const cv::Mat image = gradient(30, 40);
  PixelFiles(folder.path() / "a", kPlenty, {}).write("key", image);
  const PixelFiles other(folder.path() / "a", kPlenty, {});
  CHECK(cv::norm(other.read("key"), image) == 0);
  CHECK(other.read("none").empty());
  CHECK(files_in(folder.path() / "a") == 1);
}

TEST_CASE("a cut, flipped or foreign file is one that is not there") {
  const ScratchFolder folder;
  const PixelFiles files(folder.path(), kPlenty, {});
  files.write("key", gradient(30, 40));
  const std::string good = read_file(folder.path() / "key");
  std::string flipped = good;
  flipped[good.size() - 5] = static_cast<char>(flipped[good.size() - 5] ^ 1);
  std::string wide = good;
  wide[12] = wide[13] = '\x7f';
  for (const std::string& bad : {std::string(), good.substr(0, 10), good.substr(0, 500), flipped, wide, good + "x"}) {
    folder.write("key", bad);
    CHECK(files.read("key").empty());
  }
  folder.write("key", good);
  CHECK(!files.read("key").empty());
}

TEST_CASE("the files stay within their budget, and the oldest go first for those that are wanted") {
  const ScratchFolder folder;
  const cv::Mat image = gradient(30, 40);  // 3600 bytes and a header
  {
    const PixelFiles files(folder.path(), 8000, {});
    for (const char* key : {"a", "b", "c"}) files.write(key, image);
    CHECK(!files.read("a").empty());
    CHECK(!files.read("b").empty());
    CHECK(files.read("c").empty());
    CHECK(files.bytes() <= 8000);
  }
  fs::last_write_time(folder.path() / "b", fs::last_write_time(folder.path() / "a") - std::chrono::hours(1));
  const PixelFiles files(folder.path(), 8000, {{"a", 3600}, {"c", 3600}});
  CHECK(!files.read("a").empty());
  CHECK(files.read("b").empty());
  files.write("c", image);
  CHECK(!files.read("c").empty());
}

TEST_CASE("writers of one folder do not get in each other's way") {
  const ScratchFolder folder;
  const PixelFiles one(folder.path(), kPlenty, {}), two(folder.path(), kPlenty, {});
  const cv::Mat image = gradient(60, 80);
  const auto work = [&](const PixelFiles& files) {
    for (int i = 0; i < 50; ++i) {
      const std::string key = std::to_string(i % 5);
      const cv::Mat stored = files.read(key);
      if (!stored.empty() && cv::norm(stored, image) != 0) throw Error("another image");
      files.write(key, image);
    }
  };
  {
    const std::jthread a([&] { work(one); }), b([&] { work(two); });
  }
  CHECK(files_in(folder.path()) == 5);
  for (int i = 0; i < 5; ++i) CHECK(cv::norm(one.read(std::to_string(i)), image) == 0);
}

TEST_CASE("resized images come from the disk the second time, and anew when the image has changed") {
  const DatasetFixture set;
  const fs::path file = set.jpeg("images/train/a.jpg", 96, 128);
  set.label("a", "0 0.5 0.5 0.2 0.2\n");
  const auto dataset = std::make_shared<YoloDataset>(set.load());
  const fs::path disk = set.folder.path() / "pixels";
  ResizedImagesOptions options{.imgsz = 64, .budget_bytes = kPlenty};
  const cv::Mat expected = ResizedImages(dataset, options).image(0);
  options.disk_folder = disk;
  CHECK(cv::norm(ResizedImages(dataset, options).image(0), expected) == 0);
  CHECK(files_in(disk) == 1);
  const auto time = fs::last_write_time(file);
  const std::string bytes = read_file(file);
  set.folder.write("images/train/a.jpg", std::string(bytes.size(), 'x'));
  fs::last_write_time(file, time);
  CHECK(cv::norm(ResizedImages(dataset, options).image(0), expected) == 0);  // never opened
  fs::last_write_time(file, time + std::chrono::seconds(1));
  CHECK_THROWS_AS(ResizedImages(dataset, options).image(0), InputError);
  set.folder.write("images/train/a.jpg", bytes);
  options.imgsz = 32;
  CHECK(ResizedImages(dataset, options).image(0).cols == 32);
  CHECK(files_in(disk) == 2);
}

TEST_CASE("head rounds the shorter side up where v7.0 truncates it") {
  const DatasetFixture set;
  set.jpeg("images/train/a.jpg", 70, 101);
  set.label("a", "0 0.5 0.5 0.2 0.2\n");
  const auto dataset = std::make_shared<YoloDataset>(set.load());
  ResizedImagesOptions options{.imgsz = 64, .keep = false};
  CHECK(ResizedImages(dataset, options).image(0).size() == cv::Size(64, 44));
  options.compat = Compat::head;
  CHECK(ResizedImages(dataset, options).image(0).size() == cv::Size(64, 45));
}
