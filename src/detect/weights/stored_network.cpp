#include "detect/weights/stored_network.h"

#include <algorithm>

#include "base/error.h"
#include "scenario/model_yaml.h"
#include "scenario/same_network.h"

namespace valbench {
namespace {

/// The YAML's anchors may be a number, or AutoAnchor or the hyperparameters may have changed how many there are: the weights know. Their
/// values come with the other tensors.
void fit_anchors(const ModelWeights& weights, LayerTable& table) {
  const auto anchors = std::find_if(weights.model.begin(), weights.model.end(),
                                    [](const auto& entry) { return entry.first.ends_with(".anchors") && entry.second.dim() == 3; });
  if (anchors == weights.model.end()) return;
  const auto levels = static_cast<std::size_t>(anchors->second.size(0)), per_level = static_cast<std::size_t>(anchors->second.size(1));
  if (table.anchors.size() == levels && !table.anchors.empty() && table.anchors.front().size() == 2 * per_level) return;
  table.anchors = placeholder_anchors(static_cast<int>(levels), static_cast<int>(per_level));
}

std::string name_of(const ModelWeights& weights, const std::filesystem::path& file) {
  const std::string stem = std::filesystem::path(weights.yaml_file).stem().string();
  return stem.empty() ? file.stem().string() : stem;
}

}  // namespace

StoredNetwork stored_network(const ModelWeights& weights, const std::filesystem::path& file) {
  StoredNetwork network{weights.model_name, {}, weights.yaml_text};
  const bool known = !weights.model_name.empty();
  if (network.yaml.empty() && !known) {
    throw InputError(file.string() + ": holds weights of an unknown model. Known: yolov5n, s, m, l, x, their P6 forms, and files that hold "
                                     "their model's YAML");
  }
  if (!network.yaml.empty()) network.table = parse_model_yaml(network.yaml, file.string(), Compat::v7_0);
  if (known && (network.yaml.empty() || same_network(network.table, model_table(weights.model_name, Compat::v7_0)))) {
    network.table = model_table(weights.model_name, Compat::v7_0);
    network.yaml.clear();
  } else {
    network.name = name_of(weights, file);
  }
  fit_anchors(weights, network.table);
  return network;
}

}  // namespace valbench
