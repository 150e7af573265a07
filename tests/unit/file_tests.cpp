#include "base/file.h"

#include <filesystem>

#include "base/error.h"
#include "tests/support/catch.h"

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

TEST_CASE("writing into a missing folder names the file and the reason") {
  CHECK_THROWS_WITH(write_atomically("/nonexistent/x.json", ""), Catch::Contains("/nonexistent/x.json") &&
                                                                     Catch::Contains("No such file"));
}
