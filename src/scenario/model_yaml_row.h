/// \file
/// One row `[from, number, module, args]` of a model YAML file.
#pragma once
#include <yaml-cpp/yaml.h>

#include <optional>
#include <string>

#include "scenario/layer_table.h"

namespace valbench {

/// Throws ScenarioError that names the row, the module and what is allowed. `index` counts the layers of the whole file.
LayerRow read_model_row(const YAML::Node& node, const std::string& file, std::size_t index);

/// `nn.LeakyReLU(0.1)` and the like; nothing when it is unknown.
std::optional<Activation> parse_activation(const std::string& text);
std::string allowed_activations();

}  // namespace valbench
