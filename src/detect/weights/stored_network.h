/// \file
/// The network that a weights file is of: what its model YAML says where it holds one, else what its shapes say.
#pragma once
#include <filesystem>
#include <string>

#include "detect/weights/model_weights.h"
#include "scenario/layer_table.h"

namespace valbench {

struct StoredNetwork {
  std::string name;  ///< yolov5n; for another network that of its YAML file.
  LayerTable table;
  std::string yaml;  ///< Text of the model YAML; empty for YOLOv5's own sizes.
};

/// `file` is for errors and as the last resort for a name. Throws InputError where the file does not say what it is of, or holds a YAML
/// that cannot be followed.
StoredNetwork stored_network(const ModelWeights& weights, const std::filesystem::path& file);

}  // namespace valbench
