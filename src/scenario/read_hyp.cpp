#include "scenario/read_hyp.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/path_kind.h"
#include "scenario/spec_fields.h"

namespace valbench {
namespace {

constexpr double kAnyNumber = std::numeric_limits<double>::infinity();

std::pair<double, double> hyperparameter_range(const std::string& name) {
  static const std::set<std::string> shares = {"momentum", "warmup_momentum", "iou_t",     "hsv_h",  "hsv_s",
                                               "hsv_v",    "translate",       "scale",     "flipud", "fliplr",
                                               "mosaic",   "mixup",           "copy_paste"};
  if (shares.contains(name)) return {0.0, 1.0};
  if (name == "degrees" || name == "shear") return {0.0, 180.0};
  if (name == "perspective") return {0.0, 0.001};
  if (name == "anchor_t") return {1.0, kAnyNumber};
  if (name == "anchors") return {0.0, 100.0};
  return {0.0, kAnyNumber};
}

void read_values(const YamlSection& section, Hyperparameters& hyp) {
  visit_hyperparameters(hyp, [&](const char* name, double& field) {
    const auto [low, high] = hyperparameter_range(name);
    section.number(name, field, low, high);
  });
}

bool is_builtin(const std::string& name) {
  const auto names = builtin_hyperparameter_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::string> hyp_keys() {
  std::vector<std::string> keys = {"base"};
  Hyperparameters hyp;
  visit_hyperparameters(hyp, [&](const char* name, double&) { keys.emplace_back(name); });
  return keys;
}

Hyperparameters read_hyp_file(const std::filesystem::path& file) {
  const YamlSource source{file.string(), file.parent_path(), {}};
  auto keys = hyp_keys();
  keys.erase(keys.begin());
  Hyperparameters hyp;
  read_values(YamlSection(source, source.load(), "", keys), hyp);
  return hyp;
}

void read_hyp(const YamlSection& root, RunSpec& spec) {
  const std::string allowed = joined(builtin_hyperparameter_names()) + ", a YAML file, or a map of hyperparameters";
  const YAML::Node node = root.node("hyp");
  if (!node.IsDefined()) return;
  const bool is_map = node.IsMap();
  const YamlSection section(root.source(), is_map ? node : YAML::Node(), "hyp", hyp_keys());
  const YamlSection& holder = is_map ? section : root;
  const std::string key = is_map ? "base" : "hyp";
  if (holder.has(key)) {
    const std::string base = holder.scalar(key, allowed);
    if (is_builtin(base)) {
      spec.hyp = builtin_hyperparameters(base);
    } else {
      const auto file = holder.path(key, allowed);
      if (!is_file(file))
        holder.fail(key, "no such set or file (" + file.string() + ")", allowed);
      spec.hyp = read_hyp_file(file);
    }
    spec.hyp_name = base;
  }
  if (is_map) {
    read_values(section, spec.hyp);
    if (node.size() > (section.has("base") ? 1u : 0u)) spec.hyp_name += " (changed)";
  }
}

}  // namespace valbench
