/// \file
/// Model YAML files of YOLOv5 (reference yolov5.md §1.2): `nc`, `depth_multiple`, `width_multiple`, `anchors`, and the rows
/// `[from, number, module, args]` of `backbone` and `head`.
#pragma once
#include <filesystem>
#include <string>

#include "scenario/layer_table.h"

namespace valbench {

/// Reads a file. Throws ScenarioError (`file:line: layer 3 (C2f): unknown module. Allowed: …`).
LayerTable read_model_yaml(const std::filesystem::path& file, Compat compat);

/// The same from text, e.g. of a checkpoint; `shown_file` is how errors call it.
LayerTable parse_model_yaml(const std::string& text, const std::string& shown_file, Compat compat);

}  // namespace valbench
