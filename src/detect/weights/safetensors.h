/// \file
/// The safetensors container: 8 bytes header length, JSON header, raw little-endian tensors.
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"

namespace valbench {

struct SafetensorsFile {
  std::vector<std::pair<std::string, at::Tensor>> tensors;  ///< In file order, CPU.
  std::map<std::string, std::string> metadata;
};
/// Throws InputError naming the file and what is wrong (truncated, overlapping offsets, unknown dtype).
SafetensorsFile read_safetensors(const std::filesystem::path& file);
/// Writes by rename.
void write_safetensors(const std::filesystem::path& file, const SafetensorsFile& content, Sync sync = Sync::before_rename);

}  // namespace valbench
