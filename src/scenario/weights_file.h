/// \file
/// A look at a weights file without loading it.
#pragma once
#include <filesystem>
#include <string>

namespace valbench {

/// The built-in model that a .safetensors file holds weights of; empty when that cannot be told.
std::string model_of_weights(const std::filesystem::path& file);

/// Why `file` cannot start a training of `model`: neither .pt nor safetensors, cut off, or weights of another model size.
/// Empty when nothing speaks against it. Reads the header of a safetensors file, and only the two ends of a .pt: what is in
/// it shows when the ranks load it.
std::string reason_against_weights(const std::filesystem::path& file, const std::string& model);

}  // namespace valbench
