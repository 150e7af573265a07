#include <algorithm>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/path_kind.h"
#include "scenario/axis.h"
#include "scenario/layer_table.h"
#include "scenario/rank_roles.h"
#include "scenario/read_hyp.h"
#include "scenario/scenario.h"
#include "scenario/spec_fields.h"
#include "scenario/sweep_plan.h"
#include "scenario/training_keys.h"
#include "scenario/validation_keys.h"
#include "scenario/weights_file.h"
#include "scenario/yaml_section.h"

namespace valbench {
namespace {

constexpr std::int64_t kAnyInt = std::numeric_limits<int>::max();
constexpr std::int64_t kAnyInt64 = std::numeric_limits<std::int64_t>::max();
constexpr double kAnyNumber = std::numeric_limits<double>::infinity();

const std::vector<std::string> kRootKeys = {
    "name",         "model",         "weights",         "data",    "synth",      "imgsz",
    "epochs",       "batch_size",    "ranks",           "device",  "share_gpu",  "seed",
    "hyp",          "rounds",        "baseline",        "margin",  "validation", "strategies",
    "axes",         "cos_lr",        "label_smoothing", "workers", "threads",    "amp",
    "cache",        "gradient_sync", "save_checkpoints", "verify", "hang_timeout"};
const std::vector<std::string> kSynthKeys = {"train_images", "val_images",        "classes", "width", "height",
                                             "vary",         "objects_per_image", "quality", "seed"};

std::vector<std::string> root_keys() {
  std::vector<std::string> keys = kRootKeys;
  keys.insert(keys.end(), training_keys().begin(), training_keys().end());
  return keys;
}

std::vector<std::string> strategy_keys() {
  std::vector<std::string> keys = {"name"};
  keys.insert(keys.end(), validation_keys().begin(), validation_keys().end());
  return keys;
}

std::vector<ValidationSpec> read_strategies(const YamlSection& root, const ValidationSpec& defaults) {
  const std::string allowed = "a list such as `- {name: sharded, placement: sharded}`, keys " + joined(strategy_keys());
  const YAML::Node list = root.node("strategies");
  if (!list.IsDefined() || !list.IsSequence() || list.size() == 0) {
    root.fail("strategies", list.IsDefined() ? "is not a list with entries" : "is missing", allowed);
  }
  std::vector<ValidationSpec> strategies;
  std::set<std::string> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const YamlSection section(root.source(), list[i], "strategies[" + std::to_string(i) + "]", strategy_keys());
    ValidationSpec spec = defaults;
    if (!section.has("name")) section.fail("name", "is missing", "a name that no other strategy has");
    section.text("name", spec.name);
    if (!names.insert(spec.name).second) section.fail("name", "two strategies have this name", "names that differ");
    read_validation(section, spec);
    strategies.push_back(std::move(spec));
  }
  return strategies;
}

/// Each value is read as if it stood in a strategy, so that an axis allows just what a strategy allows.
std::vector<Axis> read_axes(const YamlSection& root) {
  const YamlSection section(root.source(), root.node("axes"), "axes", validation_keys());
  std::vector<Axis> axes;
  for (const std::string& key : validation_keys()) {
    if (!section.has(key)) continue;
    const YAML::Node values = section.node(key);
    if (!values.IsSequence() || values.size() == 0)
      section.fail(key, "is not a list of values", "a list such as [1, 2]");
    Axis axis{key, {}};
    std::set<std::string> texts;
    for (std::size_t i = 0; i < values.size(); ++i) {
      YAML::Node map(YAML::NodeType::Map);
      map[key] = values[i];
      const YamlSection one(root.source(), map, "axes", {key});
      ValidationSpec checked;
      const auto read_one = [source = root.source(), map, key](ValidationSpec& spec) {
        read_validation(YamlSection(source, map, "axes", validation_keys()), spec);
      };
      read_one(checked);
      const std::string text = one.scalar(key, "single values");
      if (!texts.insert(text).second) one.fail(key, "the value stands here twice", "values that differ");
      axis.values.push_back({text, read_one});
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

void read_synth(const YamlSection& root, SyntheticSpec& synth) {
  const YamlSection section(root.source(), root.node("synth"), "synth", kSynthKeys);
  section.integer("train_images", synth.train_images, 1, 10'000'000);
  section.integer("val_images", synth.val_images, 1, 10'000'000);
  section.integer("classes", synth.classes, 1, kMostSyntheticClasses);
  section.integer("width", synth.width, 32, 16'384);
  section.integer("height", synth.height, 32, 16'384);
  section.boolean("vary", synth.vary);
  section.number("objects_per_image", synth.objects_per_image, 0.1, 1000);
  section.integer("quality", synth.quality, 1, 100);
  section.integer("seed", synth.seed, 0, kAnyInt64);
}

void read_weights(const YamlSection& root, RunSpec& base) {
  const std::string allowed = "none, or the path of a .pt or .safetensors file";
  if (!root.has("weights") || root.scalar("weights", allowed) == "none") return;
  base.weights = root.path("weights", allowed);
  if (!is_file(base.weights))
    root.fail("weights", "no such file (" + base.weights.string() + ")", allowed);
  const std::string reason = reason_against_weights(base.weights, base.model);
  if (!reason.empty()) root.fail("weights", reason, "none, or a complete .pt or .safetensors file of " + base.model);
}

void read_data(const YamlSection& root, Scenario& scenario) {
  const std::string allowed = "synth, or the path of a data.yaml";
  if (!root.has("data")) root.fail("data", "is missing", allowed);
  scenario.synthetic = root.scalar("data", allowed) == "synth";
  if (!scenario.synthetic) {
    scenario.base.data = root.path("data", allowed);
    if (!is_file(scenario.base.data)) {
      root.fail("data", "no such file (" + scenario.base.data.string() + ")", allowed);
    }
  }
  read_synth(root, scenario.synth);
  read_weights(root, scenario.base);
}

/// A built-in name, or a model YAML file, which is read and checked here. Returns what image sizes are multiples of.
int read_model(const YamlSection& root, RunSpec& base) {
  root.text("model", base.model);
  const std::string allowed = joined(builtin_models()) + ", or the path of a model YAML file";
  const auto& names = builtin_models();
  if (is_model_file(base.model)) {
    const auto file = root.path("model", allowed);
    if (!is_file(file)) root.fail("model", "no such file (" + file.string() + ")", allowed);
    base.model = file.string();
  } else if (std::find(names.begin(), names.end(), base.model) == names.end()) {
    root.fail("model", "unknown model", allowed);
  }
  const LayerTable table = model_table(base.model, base.compat);
  return size_multiple(plan_layers(table, table.classes));
}

void read_training(const YamlSection& root, const Machine& machine, Scenario& scenario) {
  RunSpec& base = scenario.base;
  const int stride = read_model(root, base);
  root.integer("imgsz", base.imgsz, 1, 8192);
  const int rounded = std::max((base.imgsz + stride - 1) / stride * stride, 2 * stride);
  if (rounded != base.imgsz) {
    scenario.notices.push_back("imgsz " + std::to_string(base.imgsz) + " is rounded up to " + std::to_string(rounded) +
                               ": a multiple of the stride " + std::to_string(stride) + ", at least " +
                               std::to_string(2 * stride) + ", as YOLOv5 does");
    base.imgsz = rounded;
  }
  root.integer("epochs", base.epochs, 1, kAnyInt);
  root.integer("ranks", base.ranks, 1, 4096);
  root.integer("batch_size", base.batch_size, 1, kAnyInt);
  if (base.ranks % machine.hosts != 0) {
    root.fail("ranks", std::to_string(base.ranks) + " ranks cannot be spread evenly over " + std::to_string(machine.hosts) + " hosts",
              "multiples of the number of hosts");
  }
  root.integer("seed", base.seed, 0, kAnyInt64);
  root.boolean("cos_lr", base.cos_lr);
  root.number("label_smoothing", base.label_smoothing, 0.0, 0.999);
  root.integer("workers", base.workers, 1, 1024);
  const int ranks_per_host = base.ranks / machine.hosts;
  base.torch_threads = std::max(1, machine.cores / ranks_per_host);
  root.integer("threads", base.torch_threads, 1, 1024);
  base.oversubscribed = ranks_per_host * base.torch_threads > machine.cores;
  if (base.oversubscribed) {
    scenario.notices.push_back(std::to_string(ranks_per_host) + " ranks with " + std::to_string(base.torch_threads) +
                               " threads each need more than the " + std::to_string(machine.cores) +
                               " cores here: the runs are marked oversubscribed and get no verdict");
  }
  root.choice("gradient_sync", base.gradient_sync);
  root.choice("cache", base.cache);
  root.boolean("save_checkpoints", base.save_checkpoints);
  root.choice("verify", base.verify);
  root.number("hang_timeout", base.hang_timeout_s, 0.0, 86'400.0);
  if (base.hang_timeout_s > 0 && base.hang_timeout_s < 1) root.fail("hang_timeout", "is too short", "0 (nobody watches), or 1 to 86400 seconds");
}

/// GPU numbers of `cuda:0,1`; all GPUs for `cuda`.
std::vector<int> requested_gpus(const YamlSection& root, const std::string& device, int gpus,
                                const std::string& allowed) {
  std::vector<int> ids;
  if (device == "cuda" || device == "auto") {
    for (int id = 0; id < gpus; ++id) ids.push_back(id);
    return ids;
  }
  std::string digits;
  for (const char c : device.substr(5) + ",") {
    if (c != ',') {
      digits += c;
      continue;
    }
    const bool number =
        !digits.empty() && digits.size() < 5 && digits.find_first_not_of("0123456789") == std::string::npos;
    if (!number) root.fail("device", "unknown device", allowed);
    ids.push_back(std::stoi(digits));
    if (ids.back() >= gpus)
      root.fail("device", "there is no GPU " + digits + ", this machine has " + std::to_string(gpus), allowed);
    digits.clear();
  }
  return ids;
}

void read_device(const YamlSection& root, const Machine& machine, RunSpec& base) {
  const std::string allowed = "auto, cpu, cuda, cuda:0,1";
  const std::string device = root.has("device") ? root.scalar("device", allowed) : "auto";
  if (device != "auto" && device != "cpu" && device != "cuda" && !device.starts_with("cuda:")) {
    root.fail("device", "unknown device", allowed);
  }
  const bool cuda = device == "auto" ? machine.gpus > 0 : device != "cpu";
  if (cuda && machine.gpus == 0) root.fail("device", "there is no usable GPU: " + machine.gpu_note, "auto, cpu");
  base.device = cuda ? DeviceKind::cuda : DeviceKind::cpu;
  bool share_gpu = false;
  root.boolean("share_gpu", share_gpu);
  if (cuda) {
    const auto ids = requested_gpus(root, device, machine.gpus, allowed);
    const int ranks_per_host = base.ranks / machine.hosts;
    if (ranks_per_host > static_cast<int>(ids.size()) && !share_gpu) {
      root.fail(root.has("ranks") ? "ranks" : "device",
                std::to_string(ranks_per_host) + " ranks need as many GPUs, there are " + std::to_string(ids.size()),
                "at most one rank per GPU, or `share_gpu: true` (timings are then not comparable)");
    }
    for (int rank = 0; rank < ranks_per_host; ++rank)
      base.device_ids.push_back(ids[static_cast<std::size_t>(rank) % ids.size()]);
  }
  base.amp = cuda ? AmpMode::fp16 : AmpMode::off;
  if (root.has("amp") && root.scalar("amp", "auto, off, fp16, bf16") != "auto") root.choice("amp", base.amp);
  if (!cuda && base.amp != AmpMode::off)
    root.fail("amp", "mixed precision needs a GPU, this sweep runs on the CPU", "auto, off");
}

/// Every strategy must go with the training options.
void check_training_keys(const YamlSection& root, RunSpec spec, const std::vector<ValidationSpec>& strategies) {
  for (const ValidationSpec& strategy : strategies) {
    spec.validation = strategy;
    if (const auto conflict = find_option_conflict(spec)) root.fail(conflict->key, conflict->reason, conflict->allowed);
  }
}

/// Where some ranks only validate, reason_not_to_run() asks for those that train.
void check_even_batches(const YamlSection& root, RunSpec spec, const std::vector<ValidationSpec>& strategies) {
  for (const ValidationSpec& strategy : strategies) {
    spec.validation = strategy;
    if (training_ranks(spec) < spec.ranks || spec.batch_size % spec.ranks == 0) continue;
    root.fail(root.has("batch_size") ? "batch_size" : "ranks",
              "batch_size " + std::to_string(spec.batch_size) + " cannot be dealt evenly to " + std::to_string(spec.ranks) + " ranks",
              "multiples of ranks (batch_size counts all ranks)");
  }
}

/// What a sweep would skip a strategy for is an error of a single training. The reason begins with the key at fault.
void check_runs_here(const YamlSection& root, const YamlSection& validation, const RunSpec& spec) {
  const std::string reason = reason_not_to_run(spec, spec.validation);
  if (reason.empty()) return;
  const std::string key = reason.substr(0, reason.find(' '));
  if (key == "batch_size" && !reason.starts_with("batch_size max")) root.fail(key, reason, "a multiple of the ranks that train");
  validation.fail(key, reason, "other values of it, or another placement");
}

/// A name of `strategies`; with axes, a strategy's own name stands for its first point.
std::string resolve_baseline(const YamlSection& root, const std::vector<ValidationSpec>& named,
                             const std::vector<ValidationSpec>& points) {
  std::string baseline = named.front().name;
  root.text("baseline", baseline);
  const std::size_t points_per_strategy = points.size() / named.size();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].name == baseline || named[i / points_per_strategy].name == baseline) return points[i].name;
    names.push_back(points[i].name);
  }
  root.fail("baseline", "no strategy has this name", joined(names));
}

}  // namespace

Override parse_override(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw InputError("--set " + text + ": no `=` in it. Allowed: key=value, such as --set validation.interval=2");
  }
  return {text.substr(0, equals), text.substr(equals + 1), "--set " + text};
}

Scenario parse_training(const std::vector<Override>& options, const Machine& machine) {
  const YamlSource source{"", std::filesystem::current_path(), options};
  const YamlSection root(source, source.load(), "", root_keys());
  Scenario scenario;
  read_training(root, machine, scenario);
  read_device(root, machine, scenario.base);
  read_training_keys(root, scenario.base);
  read_hyp(root, scenario.base);
  const YamlSection validation(source, root.node("validation"), "validation", validation_keys());
  read_validation(validation, scenario.base.validation);
  // Without validations the fitness stays 0, and v7.0 takes every tie for an improvement: it never stops.
  if (scenario.base.validation.placement == Placement::none) scenario.base.patience = 0;
  check_even_batches(root, scenario.base, {scenario.base.validation});
  check_training_keys(root, scenario.base, {scenario.base.validation});
  check_runs_here(root, validation, scenario.base);
  read_data(root, scenario);
  return scenario;
}

Scenario parse_scenario(const std::filesystem::path& file, const std::vector<Override>& overrides,
                        const Machine& machine) {
  const YamlSource source{file.string(), std::filesystem::absolute(file).parent_path(), overrides};
  const YamlSection root(source, source.load(), "", root_keys());
  Scenario scenario;
  scenario.file = std::filesystem::absolute(file).lexically_normal();
  scenario.name = file.stem().string();
  root.text("name", scenario.name);
  scenario.base.scenario = scenario.name;
  read_training(root, machine, scenario);
  read_device(root, machine, scenario.base);
  read_training_keys(root, scenario.base);
  read_hyp(root, scenario.base);
  read_validation(YamlSection(source, root.node("validation"), "validation", validation_keys()),
                  scenario.base.validation);
  const auto named = read_strategies(root, scenario.base.validation);
  scenario.strategies = multiply(named, read_axes(root));
  check_even_batches(root, scenario.base, scenario.strategies);
  check_training_keys(root, scenario.base, scenario.strategies);
  scenario.baseline = resolve_baseline(root, named, scenario.strategies);
  root.integer("rounds", scenario.rounds, 1, 10'000);
  root.number("margin", scenario.margin, 0.0, 1.0);
  read_data(root, scenario);
  return scenario;
}

std::vector<std::pair<std::string, std::vector<std::string>>> scenario_keys() {
  return {{"", root_keys()},
          {"validation", validation_keys()},
          {"strategies", strategy_keys()},
          {"synth", kSynthKeys},
          {"hyp", hyp_keys()}};
}

}  // namespace valbench
