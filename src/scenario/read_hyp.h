/// \file
/// Hyperparameters by the name of a built-in set or from a YAML file with YOLOv5's keys (reference yolov5.md §3).
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "scenario/run_spec.h"
#include "scenario/yaml_section.h"

namespace valbench {

std::vector<std::string> builtin_hyperparameter_names();

/// A file over the defaults (scratch-low). Throws ScenarioError that names file, line, key and what is allowed.
Hyperparameters read_hyp_file(const std::filesystem::path& file);

/// The scenario's `hyp: NAME`, `hyp: FILE`, or a map of changes with `base: NAME or FILE`.
void read_hyp(const YamlSection& root, RunSpec& spec);

/// The keys of the scenario's map: `base`, and every hyperparameter.
std::vector<std::string> hyp_keys();

}  // namespace valbench
