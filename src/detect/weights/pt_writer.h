/// \file
/// Weights in the form that Python reads with torch.load(file, weights_only=True).
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>

#include "detect/weights/pt_checkpoint.h"

namespace valbench {

/// Writes, by rename, a dict of `info`'s entries and of `model`: an OrderedDict of tensors by state_dict name. `info` is an object of null,
/// numbers, text, lists and objects.
void write_plain_pt(const std::filesystem::path& file, const NamedTensors& model, const nlohmann::ordered_json& info);

}  // namespace valbench
