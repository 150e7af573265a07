/// \file
/// A look at a weights file without loading it.
#pragma once
#include <filesystem>
#include <string>

namespace valbench {

/// Why `file` cannot start a training of `model`: not safetensors, cut off, or weights of another model size. Empty when
/// nothing speaks against it. Reads the header only.
std::string reason_against_weights(const std::filesystem::path& file, const std::string& model);

}  // namespace valbench
