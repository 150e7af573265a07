#include "train/training_state.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "detect/state_layout.h"
#include "detect/weights/model_weights.h"
#include "detect/weights/pt_archive.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;

constexpr const char *kPrefix = "train.", *kModel = "train.model.", *kEma = "train.ema.", *kOptimizer = "train.optimizer.";

void add_flat(const std::string& prefix, const at::Tensor& flat, const std::vector<StateEntry>& state, SafetensorsFile& content) {
  for (auto& [slice, tensor] : host_entries(flat, state)) content.tensors.emplace_back(prefix + state[slice.entry].name, std::move(tensor));
}

ordered_json progress_json(const LoopProgress& loop, const StepProgress& step, double optimizer_steps) {
  return {{"epoch", loop.epoch},
          {"next_epoch", loop.epoch + 1},
          {"next_batch", 0},
          {"best_fitness", loop.best_fitness},
          {"best_epoch", loop.best_epoch},
          {"stopping",
           {{"best_epoch", loop.stopping.best_epoch},
            {"best_fitness", loop.stopping.best_fitness},
            {"possible_stop", loop.stopping.possible_stop}}},
          {"class_map", loop.class_map},
          {"batches_per_epoch", step.batches_per_epoch},
          {"ema_updates", step.ema_updates},
          {"last_step", step.last_step},
          {"lr", step.rates.lr},
          {"momentum", step.rates.momentum},
          {"accumulate", step.rates.accumulate},
          {"loss_scale", step.loss_scale},
          {"good_steps", step.good_steps},
          {"optimizer_steps", optimizer_steps}};
}

void read_progress(const ordered_json& json, TrainingState& state) {
  LoopProgress& loop = state.loop;
  StepProgress& step = state.step;
  json.at("epoch").get_to(loop.epoch);
  json.at("best_fitness").get_to(loop.best_fitness);
  loop.best_epoch = json.value("best_epoch", -1);  // Not in checkpoints of earlier versions.
  json.at("stopping").at("best_epoch").get_to(loop.stopping.best_epoch);
  json.at("stopping").at("best_fitness").get_to(loop.stopping.best_fitness);
  json.at("stopping").at("possible_stop").get_to(loop.stopping.possible_stop);
  json.at("class_map").get_to(loop.class_map);
  json.at("batches_per_epoch").get_to(step.batches_per_epoch);
  json.at("ema_updates").get_to(step.ema_updates);
  json.at("last_step").get_to(step.last_step);
  json.at("lr").get_to(step.rates.lr);
  json.at("momentum").get_to(step.rates.momentum);
  json.at("accumulate").get_to(step.rates.accumulate);
  json.at("loss_scale").get_to(step.loss_scale);
  json.at("good_steps").get_to(step.good_steps);
  json.at("optimizer_steps").get_to(state.optimizer_steps);
}

/// opt.yaml of the run folder, which `valbench train` writes; a sweep's runs have none.
std::string options_of(const RunSpec& spec) {
  const auto file = spec.folder / "opt.yaml";
  return std::filesystem::exists(file) ? read_file(file) : std::string();
}

void add_entry(std::string name, at::Tensor tensor, TrainingState& state) {
  for (const auto& [prefix, list] : {std::pair{kModel, &state.model}, {kEma, &state.ema}, {kOptimizer, &state.optimizer}}) {
    if (name.starts_with(prefix)) list->emplace_back(name.substr(std::string(prefix).size()), std::move(tensor));
  }
}

TrainingState from_safetensors(const std::filesystem::path& file) {
  SafetensorsFile content = read_safetensors(file);
  TrainingState state;
  state.facts.file = file.string();
  if (!content.metadata.contains("train.progress")) return state;
  for (auto& [name, tensor] : content.tensors) add_entry(std::move(name), std::move(tensor), state);
  try {
    read_progress(ordered_json::parse(content.metadata.at("train.progress")), state);
  } catch (const nlohmann::json::exception& error) {
    throw InputError(fmt::format("{}: its training state is damaged ({}). Take an earlier checkpoint", file.string(), error.what()));
  }
  state.facts.epoch = state.loop.epoch;
  state.facts.optimizer = content.metadata["train.optimizer"];
  state.facts.options = content.metadata["train.options"];
  state.facts.spec = content.metadata["train.spec"];
  return state;
}

TrainingState from_pt(const std::filesystem::path& file) {
  PtCheckpoint read = read_pt_checkpoint(file);
  TrainingState state;
  state.facts.file = file.string();
  if (!read.optimizer || read.ema.empty() || read.epoch < 0) return state;
  state.facts.epoch = state.loop.epoch = read.epoch;
  state.loop.best_fitness = read.best_fitness.value_or(0);
  state.model = std::move(read.model);
  state.ema = std::move(read.ema);
  state.step.ema_updates = read.updates;
  const auto& groups = read.optimizer->groups;
  if (groups.size() != state.step.rates.lr.size()) {
    throw InputError(fmt::format("{}: its optimizer has {} groups of parameters, YOLOv5's has 3 (bias, weight, norm weight)", file.string(),
                                 groups.size()));
  }
  for (std::size_t g = 0; g < groups.size(); ++g) state.step.rates.lr[g] = groups[g].lr;
  state.step.rates.momentum = groups[0].momentum;
  bool moments = false;
  for (const auto& [number, values] : read.optimizer->state) {
    moments = moments || values.contains("exp_avg");
    if (const auto step = values.find("step"); step != values.end()) state.optimizer_steps = std::max(state.optimizer_steps, step->second.item<double>());
  }
  state.facts.optimizer = to_string(moments ? OptimizerKind::adam : OptimizerKind::sgd);
  state.facts.options = read.opt.is_object() ? read.opt.dump() : std::string();
  state.numbered = std::move(read.optimizer);
  return state;
}

}  // namespace

void add_training_state(const RunSpec& spec, TrainStep& step, const LoopProgress& loop, SafetensorsFile& content) {
  const std::vector<StateEntry>& entries = step.model().state();
  add_flat(kModel, step.model_state(), entries, content);
  for (const StateEntry& entry : entries) {
    if (entry.kind == StateEntry::Kind::batches_tracked) content.tensors.emplace_back(kModel + entry.name, entry.tensor.detach().cpu());
  }
  add_flat(kEma, step.ema_state(), entries, content);
  const OptimizerState optimizer = step.optimizer().state();
  for (const auto& [name, flat] : optimizer.tensors) add_flat(std::string(kOptimizer) + name + ".", flat, entries, content);
  content.metadata["train.progress"] = progress_json(loop, step.progress(), optimizer.steps).dump();
  content.metadata["train.optimizer"] = to_string(spec.optimizer);
  content.metadata["train.options"] = options_of(spec);
  content.metadata["train.spec"] = run_spec_to_json(spec);
}

void remove_training_state(SafetensorsFile& content) {
  std::erase_if(content.tensors, [](const auto& entry) { return entry.first.starts_with(kPrefix); });
  std::erase_if(content.metadata, [](const auto& entry) { return entry.first.starts_with(kPrefix); });
  content.metadata["epoch"] = "-1";
}

TrainingState read_training_state(const std::filesystem::path& file) {
  const ModelWeights weights = read_model_weights(file);
  TrainingState state = begins_as_zip(file) ? from_pt(file) : from_safetensors(file);
  state.facts.classes = weights.classes;
  state.facts.model = weights.model_name;
  return state;
}

}  // namespace valbench
