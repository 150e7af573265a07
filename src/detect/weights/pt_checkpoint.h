/// \file
/// YOLOv5's checkpoints: what train.py writes (reference yolov5.md §4.10), stripped or not, and plain state dicts.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace valbench {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// torch's optimizer state: parameters by number, counted through the groups.
struct PtOptimizer {
  struct Group {
    double lr = 0, initial_lr = 0, momentum = 0, weight_decay = 0;  ///< Adam's first beta is its momentum.
    std::vector<std::int64_t> params;
  };
  std::vector<Group> groups;
  std::map<std::int64_t, std::map<std::string, at::Tensor>> state;  ///< momentum_buffer; exp_avg, exp_avg_sq, step.
};

struct PtCheckpoint {
  NamedTensors model;                   ///< By state_dict name and order, in the file's dtype; views of the mapped file.
  NamedTensors ema;                     ///< Empty in a stripped file, whose model is the EMA.
  std::string model_class;              ///< models.yolo.DetectionModel; empty for a state dict.
  std::string yaml_file;                ///< yolov5n.yaml
  std::string yaml_text;                ///< The file's text, in valbench's own files of other models.
  nlohmann::ordered_json yaml;          ///< The model's configuration; null in a state dict.
  std::vector<std::string> class_names;
  int epoch = -1;                       ///< Last finished one; -1 after a finished training.
  std::optional<double> best_fitness;
  std::int64_t updates = 0;             ///< Of the EMA.
  std::optional<PtOptimizer> optimizer;
  nlohmann::ordered_json opt, hyp;      ///< Options and hyperparameters of the training; null where not stored.
  std::string date;
};

/// Throws InputError naming the file and what it is instead: no zip, truncated, a segmentation or classification model, a pickle that
/// would call functions of the system (which is never run).
PtCheckpoint read_pt_checkpoint(const std::filesystem::path& file);

}  // namespace valbench
