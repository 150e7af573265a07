/// \file
/// Weights as plain data: a JSON list of {name, shape, dtype, offset, bytes} and a .bin of raw little-endian values
/// beside it.
#pragma once
#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/golden_json.h"

namespace valbench::test {

/// All entries in file order, on the CPU, in the dtype of the file.
inline std::vector<std::pair<std::string, at::Tensor>> read_golden_state(const std::filesystem::path& json_file) {
  std::ifstream in(std::filesystem::path(json_file).replace_extension(".bin"), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const std::map<std::string, at::ScalarType> dtypes = {
      {"float16", at::kHalf}, {"float32", at::kFloat}, {"float64", at::kDouble}, {"int64", at::kLong}};
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (const auto& entry : read_json(json_file)) {
    at::Tensor tensor = at::empty(entry.at("shape").get<std::vector<std::int64_t>>(), dtypes.at(entry.at("dtype")));
    const auto offset = entry.at("offset").get<std::size_t>(), size = entry.at("bytes").get<std::size_t>();
    if (size != tensor.nbytes() || offset + size > bytes.size()) {
      throw std::runtime_error(json_file.string() + ": wrong extent of " + entry.at("name").get<std::string>());
    }
    std::memcpy(tensor.data_ptr(), bytes.data() + offset, size);
    state.emplace_back(entry.at("name"), tensor);
  }
  return state;
}

}  // namespace valbench::test
