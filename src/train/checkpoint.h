/// \file
/// Checkpoints as safetensors: EMA weights by YOLOv5's state_dict names in fp16, as YOLOv5's own files hold them. What a training needs
/// to go on is added by training_state.h.
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "detect/detection_model.h"
#include "detect/weights/safetensors.h"
#include "scenario/run_spec.h"

namespace valbench {

struct CheckpointInfo {
  int epoch = 0;
  double fitness = 0;
  std::vector<std::string> class_names;
  at::Tensor batches_tracked = {};  ///< That belong to the flat state, as batches_tracked() gave them; undefined: the model's own.
  std::string model_yaml = {};  ///< Text of the model's own YAML file; empty for YOLOv5's sizes.
};

/// The counters of batches that a model's norm layers have seen, copied; they are no part of the flat state.
at::Tensor batches_tracked(const DetectionModel& model);

/// A flat state (flat_state_layout order of `model`) as a file's content; names, shapes and batches_tracked come from `model`.
SafetensorsFile checkpoint_content(const DetectionModel& model, const at::Tensor& flat_state, const CheckpointInfo& info);

/// The weights that a training starts from, by the partial-load rules of §1.8: the model's anchors stay with hyp anchors, and with
/// keep_anchors. Returns the number of entries copied. Throws InputError where the file holds no weights of this model.
int load_start_weights(const RunSpec& spec, DetectionModel& model);

}  // namespace valbench
