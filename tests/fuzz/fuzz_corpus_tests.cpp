// Every input that fuzzing has kept, through the reader that it is for.
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/catch.h"

namespace fs = std::filesystem;

using FuzzEntry = int (*)(const std::uint8_t* data, std::size_t size);
// clang-format off: one list
#define VB_FUZZ_READERS(X)                                                                            \
  X(pickle) X(zip) X(checkpoint) X(safetensors) X(image) X(scenario_yaml) X(hyp_yaml) X(model_yaml) \
  X(data_yaml) X(label_file) X(label_cache)
// clang-format on
#define VB_DECLARE(reader) extern "C" int fuzz_##reader(const std::uint8_t* data, std::size_t size);
VB_FUZZ_READERS(VB_DECLARE)

namespace {

#define VB_ENTRY(reader) {#reader, fuzz_##reader},
const std::map<std::string, FuzzEntry> kReaders = {VB_FUZZ_READERS(VB_ENTRY)};

fs::path fuzz_folder() {
  const char* root = std::getenv("VALBENCH_SOURCE");
  if (root == nullptr) throw valbench::Error("VALBENCH_SOURCE is not set; run the tests through ./valbench test");
  return fs::path(root) / "tests" / "fuzz";
}

/// What came out of the reader beside success and its own Error; empty = nothing.
std::string breach(FuzzEntry reader, const fs::path& file) {
  const std::string bytes = valbench::read_file(file);
  try {
    reader(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    return {};
  } catch (const std::exception& error) {
    return std::string("an exception: ") + error.what();
  } catch (...) {
    return "something that is no exception";
  }
}

}  // namespace

TEST_CASE("every reader has a corpus, and every corpus its reader") {
  std::set<std::string> readers, folders;
  for (const auto& [name, entry] : kReaders) readers.insert(name);
  for (const auto& folder : fs::directory_iterator(fuzz_folder() / "corpus"))
    folders.insert(folder.path().filename().string());
  CHECK(folders == readers);
}

TEST_CASE("every input of the corpus is read, or refused with an error of the project") {
  for (const auto& [name, entry] : kReaders) {
    std::size_t inputs = 0;
    for (const auto& file : fs::directory_iterator(fuzz_folder() / "corpus" / name)) {
      INFO(file.path().string());
      CHECK(breach(entry, file.path()) == "");
      ++inputs;
    }
    INFO(name);
    CHECK(inputs > 0);
  }
}

namespace {

/// Inputs that once broke a reader, and what was wrong with them.
struct Regression {
  const char *reader, *file, *broke;
};
constexpr Regression kRegressions[] = {
    {"checkpoint", "empty_tensor_with_huge_sides", "LibTorch's own exception about strides"},
    {"checkpoint", "epoch_above_int", "a number turned into an int that cannot hold it"},
    {"checkpoint", "nan_epoch", "a NaN turned into an int"},
    {"data_yaml", "path_longer_than_the_system_allows", "std's exception of exists()"},
    {"hyp_yaml", "list_that_contains_itself", "recursion until the stack ended"},
    {"hyp_yaml", "ranks_of_several_zeros", "a division by zero"},
    {"image", "jpeg_that_claims_a_gigapixel", "3 GiB for 358 bytes, and OpenCV's exception where they were not there"},
    {"image", "jpeg_of_no_size", "an image of 0 pixels, taken for one"},
    {"label_cache", "more_polygons_than_labels", "an index beyond the labels, later"},
    {"label_cache", "size_of_nothing", "an image of -1 x 0 pixels"},
    {"pickle", "long_number_with_bytes_after_it", "text that is not UTF-8, which JSON cannot hold"},
    {"safetensors", "empty_tensor_with_a_side_above_int64", "LibTorch's own exception about sizes"},
    {"safetensors", "empty_tensor_with_huge_sides", "LibTorch's own exception about strides"},
    {"scenario_yaml", "data_path_longer_than_the_system_allows", "std's exception of is_regular_file()"},
    {"scenario_yaml", "hyp_path_longer_than_the_system_allows", "std's exception of is_regular_file()"},
    {"scenario_yaml", "name_that_is_not_utf8", "the JSON library's exception when spec.json is written"},
    {"scenario_yaml", "weights_path_longer_than_the_system_allows", "std's exception of is_regular_file()"},
};

}  // namespace

TEST_CASE("inputs that once broke a reader are read, or refused with an error of the project") {
  std::set<std::string> listed, kept;
  for (const Regression& each : kRegressions) {
    const fs::path file = fuzz_folder() / "regressions" / each.reader / each.file;
    INFO(file.string() << " was: " << each.broke);
    CHECK(breach(kReaders.at(each.reader), file) == "");
    listed.insert(std::string(each.reader) + "/" + each.file);
  }
  for (const auto& file : fs::recursive_directory_iterator(fuzz_folder() / "regressions")) {
    if (file.is_regular_file()) kept.insert(fs::relative(file.path(), fuzz_folder() / "regressions").generic_string());
  }
  CHECK(kept == listed);
}

TEST_CASE("the corpus test fails on what is neither a success nor an error of the project") {
  const fs::path file = fuzz_folder() / "corpus" / "label_file";
  const fs::path any = fs::directory_iterator(file)->path();
  CHECK(breach([](const std::uint8_t*, std::size_t) -> int { throw std::out_of_range("at"); }, any) == "an exception: at");
  CHECK(breach([](const std::uint8_t*, std::size_t) -> int { throw 7; }, any) != "");
}
