#include "scenario/train_options.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/path_kind.h"
#include "scenario/weights_file.h"
#include "scenario/yaml_section.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

/// Options that are keys of a scenario, with the key.
const std::vector<std::pair<std::string, std::string>> kPlainKeys = {
    {"epochs", "epochs"},
    {"batch_size", "batch_size"},
    {"imgsz", "imgsz"},
    {"rect", "rect"},
    {"cache", "cache"},
    {"nosave", "nosave"},
    {"image_weights", "image_weights"},
    {"multi_scale", "multi_scale"},
    {"single_cls", "single_cls"},
    {"optimizer", "optimizer"},
    {"sync_bn", "sync_bn"},
    {"quad", "quad"},
    {"cos_lr", "cos_lr"},
    {"label_smoothing", "label_smoothing"},
    {"patience", "patience"},
    {"save_period", "save_period"},
    {"seed", "seed"},
    {"compat", "compat"},
    {"amp", "amp"},
    {"deterministic", "deterministic"},
    {"placement", "validation.placement"},
};

bool all_digits(const std::string& text) {
  return !text.empty() && text.size() < 7 && text.find_first_not_of("0123456789") == std::string::npos;
}

/// A YAML scalar that is `text` to the letter.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

bool is_scenario_key(const std::string& key) {
  const auto parts = scenario_keys();
  const auto& keys = parts.front().second;
  return std::find(keys.begin(), keys.end(), key.substr(0, key.find('.'))) != keys.end();
}

std::string fallback_of(const std::string& name) {
  for (const TrainOption& option : train_options()) {
    if (name == option.name) return option.fallback;
  }
  throw Error("valbench train has no option " + name);
}

/// Collects the keys of the scenario that the arguments stand for.
class Translation {
 public:
  explicit Translation(const TrainArguments& arguments) : arguments_(arguments) {}

  /// `value` is a scalar; the error of a bad one begins with the option as the user gave it.
  void set(const std::string& option, const std::string& key, const std::string& value) {
    set_yaml(option, key, quoted(value));
  }
  void set_yaml(const std::string& option, const std::string& key, const std::string& yaml) {
    const std::string given = arguments_.value(option);
    if (!is_scenario_key(key)) {
      if (!arguments_.has(option) || given == fallback_of(option)) return;
      throw InputError(shown_option(option) + " " + given + ": cannot be followed yet. Leave it out");
    }
    overrides_.push_back({key, yaml, shown_option(option) + " " + (given.empty() ? "''" : given)});
  }
  std::vector<Override> take() {
    overrides_.insert(overrides_.end(), arguments_.settings.begin(), arguments_.settings.end());
    return std::move(overrides_);
  }

 private:
  const TrainArguments& arguments_;
  std::vector<Override> overrides_;
};

/// `0,1` as a scenario has it: `cuda:0,1`.
std::string device_text(const std::string& given) {
  if (given.empty()) return "auto";
  return given.find_first_not_of("0123456789,") == std::string::npos ? "cuda:" + given : given;
}

std::string ranks_text(const TrainArguments& arguments) {
  const std::string ranks = arguments.value("ranks"), device = arguments.value("device");
  if (!ranks.empty()) return ranks;
  return std::to_string(1 + std::count(device.begin(), device.end(), ','));
}

/// YOLOv5 gives a rank at most its share of the cores, and takes 0 for "in the main thread".
std::string workers_text(const TrainArguments& arguments, const std::string& ranks, const Machine& machine) {
  const std::string given = arguments.value("workers");
  if (!all_digits(given) || !all_digits(ranks) || std::stoi(ranks) == 0) return given;
  return std::to_string(std::clamp(std::stoi(given), 1, std::max(1, machine.cores / std::stoi(ranks))));
}

/// `hyp.VOC.yaml`, with or without YOLOv5's folders, is the set VOC where there is no such file.
std::string hyp_text(const std::string& given) {
  if (is_file(given)) return given;
  const std::string name = fs::path(given).filename().string();
  return name.starts_with("hyp.") && name.ends_with(".yaml") ? name.substr(4, name.size() - 9) : given;
}

/// `yolov5s.yaml`, with or without YOLOv5's folders, is the built-in model where there is no such file.
std::string model_text(const TrainArguments& arguments, const std::string& weights) {
  const std::string given = arguments.value("cfg");
  if (given.empty()) {
    const std::string found = weights.empty() ? "yolov5s" : model_of_weights(weights);
    if (!found.empty()) return found;
    throw InputError("--weights " + weights + ": does not say which model it is of. Name it, such as --cfg yolov5s");
  }
  const fs::path file(given);
  return file.extension() == ".yaml" && !is_file(file) ? file.stem().string() : given;
}

std::string checked_weights(const TrainArguments& arguments) {
  const std::string given = arguments.value("weights");
  if (given.empty() || is_file(given)) return given;
  throw InputError("--weights " + given +
                   ": no such file, and nothing is downloaded. Get it from YOLOv5's release page and give its path, or "
                   "train from random weights with --weights '' --cfg yolov5s");
}

void check_data_option(const std::string& given) {
  const std::string fix = ". Give the data.yaml of your data set; `valbench synth --out DIR` makes one to try";
  if (given.empty()) throw InputError("--data is missing" + fix);
  if (!is_file(given)) throw InputError("--data " + given + ": no such file" + fix);
}

/// One number N stands for the layers 0 .. N-1, several numbers for themselves (reference yolov5.md §4.6).
std::string freeze_yaml(const std::string& given) {
  std::vector<std::string> layers = words_of(given);
  if (layers.size() == 1 && all_digits(layers[0])) {
    const int count = std::min(std::stoi(layers[0]), 1000);
    layers.clear();
    for (int layer = 0; layer < count; ++layer) layers.push_back(std::to_string(layer));
  }
  std::string list;
  for (const auto& layer : layers) list += (list.empty() ? "" : ", ") + quoted(layer);
  return "[" + list + "]";
}

/// YOLOv5 measures what a GPU holds, and takes 16 on a CPU (reference yolov5.md §4.6).
constexpr const char *kAutoBatch = "-1", *kCpuBatch = "16";

void settle_auto_batch(Scenario& scenario) {
  RunSpec& spec = scenario.base;
  if (spec.ranks > 1) {
    throw InputError("--batch-size -1 on " + std::to_string(spec.ranks) +
                     " ranks: one GPU's memory is measured, so it needs a single rank. Give the images per step over all ranks");
  }
  if (spec.device == DeviceKind::cuda) {
    spec.batch_size = -1;  // The rank measures.
  } else {
    scenario.notices.push_back(std::string("--batch-size -1: batch ") + kCpuBatch + ", as in YOLOv5: only a GPU's memory is measured");
  }
}

std::vector<Override> translate(const TrainArguments& arguments, const Machine& machine) {
  check_data_option(arguments.value("data"));
  const std::string weights = checked_weights(arguments), ranks = ranks_text(arguments);
  Translation keys(arguments);
  keys.set("weights", "weights", weights.empty() ? "none" : weights);
  keys.set("cfg", "model", model_text(arguments, weights));
  keys.set("data", "data", arguments.value("data"));
  keys.set("hyp", "hyp", hyp_text(arguments.value("hyp")));
  for (const auto& [option, key] : kPlainKeys) {
    const std::string value = arguments.value(option);
    keys.set(option, key, option == "batch_size" && value == kAutoBatch ? kCpuBatch : value);
  }
  keys.set("device", "device", device_text(arguments.value("device")));
  keys.set("ranks", "ranks", ranks);
  keys.set("workers", "workers", workers_text(arguments, ranks, machine));
  keys.set("noautoanchor", "autoanchor", arguments.flag("noautoanchor") ? "false" : "true");
  if (const std::string freeze = freeze_yaml(arguments.value("freeze")); freeze != "[]") {
    keys.set_yaml("freeze", "freeze", freeze);
  }
  keys.set("val_interval", "validation.interval", arguments.value("val_interval"));
  // Without --noval the final epoch is validated as well, whatever the interval.
  if (arguments.flag("noval")) keys.set("noval", "validation.interval", arguments.value("epochs"));
  return keys.take();
}

}  // namespace

std::string TrainArguments::value(const std::string& name) const {
  const auto found = given.find(name);
  return found != given.end() ? found->second : fallback_of(name);
}

std::string shown_option(std::string_view name) {
  std::string shown = "--" + std::string(name);
  std::replace(shown.begin(), shown.end(), '_', '-');
  return shown;
}

Scenario parse_train_options(const TrainArguments& arguments, const Machine& machine) {
  Scenario scenario = parse_training(translate(arguments, machine), machine);
  RunSpec& spec = scenario.base;
  if (arguments.value("batch_size") == kAutoBatch) settle_auto_batch(scenario);
  spec.validation.name = to_string(spec.validation.placement);
  spec.verify = VerifyMode::none;  // The gate of comparisons; a single training has nothing to compare.
  return scenario;
}

}  // namespace valbench
