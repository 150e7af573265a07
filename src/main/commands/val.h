/// \file
/// `valbench val`: YOLOv5's val.py (reference yolov5.md §8.2), on any number of ranks.
#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "main/commands/commands.h"
#include "scenario/val_spec.h"

namespace CLI {
class App;
}

namespace valbench {

/// YOLOv5's names and defaults.
struct ValOptions {
  ValSpec spec{.weights = "yolov5s.pt", .data = "data/coco128.yaml"};
  std::string task = "val";
  std::string device;
  int workers = 8;
  int ranks = 0;    ///< 0 = one per device given.
  int threads = 0;  ///< 0 = cores / ranks.
  bool save_hybrid = false, exist_ok = false;
  std::filesystem::path project = "runs/val";
  std::string name = "exp";
};
int run_val(const ValOptions& options);

/// Adds the command; `on_call` runs when it was given.
void add_val_command(CLI::App& app, ValOptions& options, const std::function<void()>& on_call);

}  // namespace valbench
