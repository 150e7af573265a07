/// \file
/// The options of `valbench train`, by YOLOv5's names and with its defaults (reference yolov5.md §8.1), and the run that
/// they ask for.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scenario/scenario.h"

namespace valbench {

enum class OptionKind {
  value,           ///< --epochs 100
  optional_value,  ///< --cache, or --cache disk
  flag,            ///< --rect
  list             ///< --freeze 0 1 2
};

/// One option of `valbench train`.
struct TrainOption {
  const char* name;      ///< As in opt.yaml: `batch_size` is --batch-size.
  const char* aliases;   ///< Further names on the command line: `--img,--img-size`.
  OptionKind kind;
  const char* fallback;  ///< The default as YOLOv5 writes it in opt.yaml.
  const char* bare;      ///< Value of an optional_value that stands alone.
  const char* help;
};

/// All of them, in YOLOv5's order, then valbench's own.
const std::vector<TrainOption>& train_options();

/// What the user gave, by the option's name; flags are `true`, lists are separated by blanks.
struct TrainArguments {
  std::map<std::string, std::string> given;
  std::vector<Override> settings;  ///< --set key=value: any key of scenarios/README.md.

  bool has(const std::string& name) const { return given.contains(name); }
  bool flag(const std::string& name) const { return value(name) == "true"; }
  /// As given, else the default. Throws Error for a name that is no option.
  std::string value(const std::string& name) const;
};

/// The option as the user writes it: `--batch-size`.
std::string shown_option(std::string_view name);

/// The run that the arguments ask for, checked as a scenario is, with the notices of parsing; the folder is still empty.
/// Throws InputError that begins with the option at fault. Writes nothing.
Scenario parse_train_options(const TrainArguments& arguments, const Machine& machine);

/// opt.yaml: every option, with the hyperparameters and the run folder, in YOLOv5's form.
std::string opt_yaml(const TrainArguments& arguments, const RunSpec& spec);
/// hyp.yaml: the hyperparameters as they were given, before any scaling.
std::string hyp_yaml(const Hyperparameters& hyp);

/// The arguments that an opt.yaml holds, valbench's or YOLOv5's own; its hyperparameters become settings. Options that
/// valbench does not have are left out, and named in `ignored`. Throws InputError, ScenarioError.
TrainArguments read_opt_yaml(const std::filesystem::path& file, std::vector<std::string>& ignored);
/// The same from a text, such as a checkpoint holds; `label` names it in errors.
TrainArguments parse_opt_yaml(const std::string& text, const std::string& label, std::vector<std::string>& ignored);

}  // namespace valbench
