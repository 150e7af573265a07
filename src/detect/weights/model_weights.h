/// \file
/// Weights from any file that valbench reads: YOLOv5's .pt, state dicts, safetensors. The content decides, not the name.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "detect/detection_model.h"
#include "detect/weights/pt_checkpoint.h"

namespace valbench {

struct ModelWeights {
  NamedTensors model;  ///< What training starts from.
  NamedTensors ema;    ///< What validation scores; empty where that is `model`.
  std::string model_name;                ///< yolov5n, by its channels and levels; empty for no size of YOLOv5.
  int classes = 0;                       ///< By the shape of its last layer; 0 = unknown.
  std::vector<std::string> class_names;  ///< Empty = not stored.
  nlohmann::ordered_json yaml;           ///< The model's configuration, null where it is not stored.
  std::string yaml_text;                 ///< The same as text of a model YAML; empty = not stored.
  std::string yaml_file;                 ///< What it was read from: yolov5n.yaml.

  const NamedTensors& best() const { return ema.empty() ? model : ema; }
};

/// Throws InputError naming the file and what is wrong with it.
ModelWeights read_model_weights(const std::filesystem::path& file);

struct LoadOptions {
  bool anchors = true;  ///< False: names with `anchor` keep the model's values, as in a training with --cfg or hyp anchors (§1.8).
  bool ema = false;     ///< The EMA where the file has one, as validation does.
  bool whole = false;   ///< Every entry must fit, the classes too: for validation and resume. Else what fits is copied (§1.8).
};

/// Copies what fits by name and shape and returns how many entries that were. Throws InputError where less than half fits (the weights of
/// another model), or with `whole` where anything does not; it names both models, or both numbers of classes.
int load_model_weights(const std::filesystem::path& file, const LoadOptions& options, DetectionModel& model);

}  // namespace valbench
