#include "base/file.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;

TEST_CASE("a file written atomically reads back and leaves nothing beside it") {
  const auto folder = std::filesystem::temp_directory_path() / "valbench_file_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  write_atomically(folder / "a.json", "one");
  write_atomically(folder / "a.json", "two");
  CHECK(read_file(folder / "a.json") == "two");
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  std::filesystem::remove_all(folder);
}

TEST_CASE("threads that write one file at once never mix their contents") {
  const valbench::test::ScratchFolder folder;
  const auto file = folder.path() / "a";
  const std::vector<std::string> contents = {std::string(100'000, 'a'), std::string(50'000, 'b'), "c"};
  {
    std::vector<std::jthread> writers;
    for (const std::string& content : contents) {
      writers.emplace_back([&] {
        for (int i = 0; i < 20; ++i) write_atomically(file, content);
      });
    }
  }
  CHECK(std::find(contents.begin(), contents.end(), read_file(file)) != contents.end());
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("writing into a missing folder names the file and the reason") {
  CHECK_THROWS_WITH(write_atomically("/nonexistent/x.json", ""), Catch::Contains("/nonexistent/x.json") &&
                                                                     Catch::Contains("No such file"));
}
