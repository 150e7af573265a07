#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "detect/weights/safetensors.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Matchers::Contains;

namespace {

struct TemporaryFile {
  std::filesystem::path path;
  TemporaryFile() {
    std::string name = (std::filesystem::temp_directory_path() / "valbench_safetensors_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = std::filesystem::path(name) / "weights.safetensors";
  }
  ~TemporaryFile() { std::filesystem::remove_all(path.parent_path()); }
};

void write_raw(const std::filesystem::path& file, const std::string& header, std::size_t data_bytes) {
  std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  write_atomically(file, bytes + header + std::string(data_bytes, '\1'));
}

std::string failure(const std::filesystem::path& file) {
  try {
    read_safetensors(file);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("tensors of every dtype, order and layout, and the metadata come back from a safetensors file") {
  const TemporaryFile file;
  SafetensorsFile written{.metadata = {{"epoch", "3"}, {"name", "a \"quoted\" name"}}};
  const at::Tensor values = at::arange(24, at::kFloat).view({2, 3, 2, 2});
  int n = 0;
  for (const at::ScalarType dtype :
       {at::kLong, at::kDouble, at::kHalf, at::kFloat, at::kBFloat16, at::kInt, at::kByte, at::kBool}) {
    written.tensors.emplace_back("z" + std::to_string(9 - n++), values.to(dtype));
  }
  written.tensors.emplace_back("channels_last", values.contiguous(at::MemoryFormat::ChannelsLast));
  written.tensors.emplace_back("scalar", at::scalar_tensor(7, at::kLong));
  written.tensors.emplace_back("empty", at::ones({2, 5}).slice(0, 0, 0));
  write_safetensors(file.path, written);

  const SafetensorsFile read = read_safetensors(file.path);
  CHECK(read.metadata == written.metadata);
  REQUIRE(read.tensors.size() == written.tensors.size());
  for (std::size_t i = 0; i < read.tensors.size(); ++i) {
    INFO(written.tensors[i].first);
    CHECK(read.tensors[i].first == written.tensors[i].first);
    CHECK(read.tensors[i].second.scalar_type() == written.tensors[i].second.scalar_type());
    CHECK(at::equal(read.tensors[i].second, written.tensors[i].second));
  }
}

TEST_CASE("a missing safetensors file is an input error that names it") {
  CHECK_THAT(failure("/nonexistent/weights.safetensors"), Contains("/nonexistent/weights.safetensors"));
}

TEST_CASE("a truncated safetensors file is refused wherever it ends") {
  const TemporaryFile file;
  write_safetensors(file.path, {.tensors = {{"a", at::ones({100})}}});
  const std::string whole = read_file(file.path);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{5}, std::size_t{20}, whole.size() - 400, whole.size() - 1}) {
    write_atomically(file.path, whole.substr(0, size));
    CHECK_THAT(failure(file.path), Contains("truncated") && Contains(file.path.string()));
  }
}

TEST_CASE("a safetensors header that is not one is refused with what is wrong") {
  const TemporaryFile file;
  const auto refused = [&](const std::string& header, std::size_t bytes) {
    write_raw(file.path, header, bytes);
    return failure(file.path);
  };
  CHECK_THAT(refused("not json", 4), Contains("not a JSON object"));
  CHECK_THAT(refused("[1, 2]", 4), Contains("not a JSON object"));
  CHECK_THAT(refused(R"({"a":{"dtype":"F32","shape":[1]}})", 4), Contains("tensor a"));
  CHECK_THAT(refused(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), Contains("tensor a"));
  CHECK_THAT(refused(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,4]}})", 4),
             Contains("unknown dtype F4") && Contains("BF16"));
  CHECK_THAT(refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4), Contains("needs 8 bytes"));
  CHECK_THAT(refused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4),
             Contains("too large"));
  CHECK_THAT(refused(R"({"__metadata__":{"a":1}})", 0), Contains("__metadata__.a"));
  std::uint64_t huge = ~std::uint64_t{0};
  std::string bytes(16, ' ');
  std::memcpy(bytes.data(), &huge, 8);
  write_atomically(file.path, bytes);
  CHECK_THAT(failure(file.path), Contains("header length"));
}

TEST_CASE("safetensors extents that overlap, leave holes or stop early are refused") {
  const TemporaryFile file;
  const auto refused = [&](const std::string& offsets, std::size_t bytes) {
    write_raw(
        file.path,
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":)" +
            offsets + "}}",
        bytes);
    return failure(file.path);
  };
  CHECK_THAT(refused("[4,12]", 12), Contains("inside another tensor"));
  CHECK_THAT(refused("[12,20]", 20), Contains("belong to no tensor"));
  CHECK_THAT(refused("[8,16]", 20), Contains("follow the last tensor"));
  CHECK_THAT(refused("[8,16]", 12), Contains("truncated"));
  CHECK(refused("[8,16]", 16) == "no error");
}

TEST_CASE("tensors of one name are not written") {
  const TemporaryFile file;
  CHECK_THROWS_WITH(write_safetensors(file.path, {.tensors = {{"a", at::ones(1)}, {"a", at::ones(1)}}}),
                    Contains("named a"));
  CHECK_FALSE(std::filesystem::exists(file.path));
}
