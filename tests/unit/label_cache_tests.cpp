// The cache of a data set's scan.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "data/dataset_scan.h"
#include "tests/support/catch.h"
#include "tests/unit/dataset_fixture.h"

using namespace valbench;
using Catch::Matchers::Contains;
using valbench::test::DatasetFixture;
namespace fs = std::filesystem;

namespace {

struct Fixture : DatasetFixture {
  fs::path cache = folder.path() / "cache";

  Fixture() {
    jpeg("images/train/a.jpg", 40, 50);
    jpeg("images/train/b.jpg");
    folder.write("images/train/c.jpg", "no image");
    label("a", "1 0.1 0.2 0.5 0.2 0.3 0.6\n");
  }
  YoloDataset load_cached() const { return load(Split::train, {.cache_folder = cache}); }
  fs::path cache_file() const {
    return label_cache_file(cache, {folder.path() / "images/train/a.jpg", folder.path() / "images/train/b.jpg",
                                    folder.path() / "images/train/c.jpg"});
  }
};

void check_expected(const YoloDataset& data) {
  REQUIRE(data.images.size() == 2);
  CHECK(data.images[0].height == 40);
  CHECK(data.images[0].width == 50);
  REQUIRE(data.images[0].labels.size() == 1);
  CHECK(data.images[0].labels[0].w == 0.4F);
  REQUIRE(data.images[0].polygons.size() == 1);
  CHECK(data.images[0].polygons[0][2].y == 0.6F);
  CHECK(data.backgrounds == 1);
  CHECK(data.left_out == 1);
  REQUIRE(data.warnings.size() == 1);
  CHECK_THAT(data.warnings[0], Contains("c.jpg"));
}

}  // namespace

TEST_CASE("a second scan gives the first one's result from the cache, without opening an image") {
  const Fixture set;
  check_expected(set.load_cached());
  REQUIRE(fs::is_regular_file(set.cache_file()));
  // The same size and time with other content: only a scan would see it.
  const fs::path image = set.folder.path() / "images/train/b.jpg";
  const auto time = fs::last_write_time(image);
  const auto size = fs::file_size(image);
  set.folder.write("images/train/b.jpg", std::string(size, 'x'));
  fs::last_write_time(image, time);
  check_expected(set.load_cached());
  CHECK(set.load().images.size() == 1);
}

TEST_CASE("a changed label, a new label and a touched image make the cache stale") {
  const Fixture set;
  check_expected(set.load_cached());
  set.label("a", "1 0.5 0.5 0.25 0.25\n");
  CHECK(set.load_cached().images.at(0).labels.at(0).w == 0.25F);
  set.label("b", "0 0.5 0.5 0.2 0.2\n");
  CHECK(set.load_cached().backgrounds == 0);
  fs::remove(set.folder.path() / "labels/train/b.txt");
  CHECK(set.load_cached().backgrounds == 1);
  const fs::path image = set.folder.path() / "images/train/b.jpg";
  const auto before = scan_stamp({image}, 1);
  fs::last_write_time(image, fs::last_write_time(image) + std::chrono::seconds(1));
  CHECK(scan_stamp({image}, 1) != before);
  set.jpeg("images/train/d.jpg");
  CHECK(set.load_cached().images.size() == 3);
}

TEST_CASE("a damaged, cut or foreign cache is made anew") {
  const Fixture set;
  check_expected(set.load_cached());
  const std::string good = read_file(set.cache_file());
  std::string bad = GENERATE("", "something else", "cut", "flipped", "version");
  CAPTURE(bad);
  if (bad == "cut") bad = good.substr(0, good.size() / 2);
  if (bad == "flipped") {
    bad = good;
    bad[good.size() / 2] = static_cast<char>(bad[good.size() / 2] ^ 4);
  }
  if (bad == "version") {
    bad = good;
    bad[16] = '0';
  }
  std::ofstream(set.cache_file(), std::ios::binary) << bad;
  check_expected(set.load_cached());
  CHECK(read_file(set.cache_file()) == good);
}

TEST_CASE("every cut of a cache's bytes reads as no cache") {
  const Fixture set;
  const std::vector<fs::path> files = {set.folder.path() / "images/train/a.jpg",
                                       set.folder.path() / "images/train/c.jpg"};
  const auto scanned = scan_images(files, 1);
  const std::string bytes = label_cache_bytes(scanned, 7);
  REQUIRE(parse_label_cache(bytes, 7, files));
  CHECK(parse_label_cache(bytes, 7, files)->at(1).warning == scanned[1].warning);
  CHECK(!parse_label_cache(bytes, 8, files));
  CHECK(!parse_label_cache(bytes, 7, {files[0]}));
  CHECK(!parse_label_cache(bytes + "x", 7, files));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (parse_label_cache(bytes.substr(0, size), 7, files)) FAIL("a cut at byte " << size << " was taken");
  }
}

TEST_CASE("the user's folder stays as it is, and a cache that cannot be written is only a warning") {
  const Fixture set;
  const auto listing = [&] {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(set.folder.path() / "images")) files.push_back(entry);
    for (const auto& entry : fs::recursive_directory_iterator(set.folder.path() / "labels")) files.push_back(entry);
    std::sort(files.begin(), files.end());
    return files;
  };
  const auto before = listing();
  check_expected(set.load_cached());
  CHECK(listing() == before);
  set.folder.write("blocked", "a file where a folder would be needed");
  const YoloDataset data = set.load(Split::train, {.cache_folder = set.folder.path() / "blocked"});
  CHECK(data.images.size() == 2);
  REQUIRE(data.warnings.size() == 2);
  CHECK_THAT(data.warnings[0], Contains("the label cache cannot be kept"));
}

TEST_CASE("files that vanish while old caches are cleared away are no failure") {
  const Fixture set;
  const fs::path folder = set.cache_file().parent_path();
  fs::create_directories(folder);
  // What a rank's listing holds of a file that another rank has renamed since: a name without a file.
  fs::create_symlink("renamed", folder / "0123456789abcdef.tmp7-0");
  check_expected(set.load_cached());
  CHECK(fs::is_regular_file(set.cache_file()));
}

TEST_CASE("the caches of the last 64 lists of images are kept, with what is being written") {
  const Fixture set;
  const fs::path folder = set.cache_file().parent_path();
  const auto now = fs::file_time_type::clock::now();
  const auto made = [&](const std::string& name, int minutes) {
    fs::create_directories(folder);
    std::ofstream(folder / name) << "x";
    fs::last_write_time(folder / name, now - std::chrono::minutes(minutes));
  };
  for (int i = 0; i < 70; ++i) made("list" + std::to_string(i), 10 + i);
  made("new.tmp7-0", 5);
  made("left-behind.tmp7-0", 100);
  check_expected(set.load_cached());
  CHECK(std::distance(fs::directory_iterator(folder), {}) == 65);  // this list, 63 others, the temporary file
  CHECK(fs::exists(set.cache_file()));
  CHECK(fs::exists(folder / "list62"));
  CHECK(!fs::exists(folder / "list63"));
  CHECK(fs::exists(folder / "new.tmp7-0"));
  CHECK(!fs::exists(folder / "left-behind.tmp7-0"));
}

TEST_CASE("ranks of one host that scan at once all get the result, without a warning, and leave one cache file") {
  const Fixture set;
  constexpr int kRanks = 8, kRounds = 20;
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < kRanks; ++rank) {
    ranks.push_back(fork());
    if (ranks.back() != 0) continue;
    int failures = 0;
    for (int round = 0; round < kRounds; ++round) {
      try {
        std::error_code ignored;
        if (rank % 2 == 0) fs::remove(set.cache_file(), ignored);
        // One warning: c.jpg is no image.
        const YoloDataset data = set.load_cached();
        failures += data.images.size() != 2 || data.warnings.size() != 1;
      } catch (const std::exception&) {
        ++failures;
      }
    }
    _exit(failures);
  }
  for (const pid_t rank : ranks) {
    int status = -1;
    REQUIRE(waitpid(rank, &status, 0) == rank);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  check_expected(set.load_cached());
  CHECK(std::distance(fs::directory_iterator(set.cache_file().parent_path()), {}) == 1);
}

TEST_CASE("a class out of range is told from the cache too") {
  const Fixture set;
  set.label("b", "0 0.5 0.5 0.2 0.2\n2 0.5 0.5 0.2 0.2\n");
  for (int pass = 0; pass < 2; ++pass) {
    CHECK_THROWS_WITH(set.load_cached(), Contains("b.txt:2: class 2 is out of range"));
    CHECK(fs::is_regular_file(set.cache_file()));
  }
}
