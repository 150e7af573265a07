#include "train/resume.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <unordered_map>

#include "base/error.h"
#include "detect/state_layout.h"

namespace valbench {
namespace {

void round_to_half(NamedTensors& tensors) {
  for (auto& [name, tensor] : tensors) {
    if (tensor.is_floating_point()) tensor = tensor.to(at::kHalf).to(at::kFloat);
  }
}

/// Tensors by name as one flat buffer on the host, in the layout of `like`. Entries that are not there stay 0.
at::Tensor flatten(const NamedTensors& tensors, const std::string& file, const DetectionModel& model, const at::Tensor& like) {
  std::unordered_map<std::string, const at::Tensor*> by_name;
  for (const auto& [name, tensor] : tensors) by_name[name] = &tensor;
  at::Tensor flat = at::zeros(like.sizes(), at::kFloat);
  for (const StateSlice& slice : flat_state_layout(model.state())) {
    const StateEntry& entry = model.state()[slice.entry];
    const auto found = by_name.find(entry.name);
    if (found == by_name.end() || slice.offset + slice.elements > flat.numel()) continue;
    if (found->second->sizes() != entry.tensor.sizes()) {
      throw InputError(fmt::format("{}: its state of {} has {} values, and the model's has {}. Resume with the model that it is of", file,
                                   entry.name, found->second->numel(), entry.tensor.numel()));
    }
    entry_view(flat, slice, entry.tensor).copy_(*found->second);
  }
  return flat;
}

/// torch counts parameters through YOLOv5's groups: biases, weights, norm weights, each in the order of the state dict (§4.1).
std::vector<std::string> names_by_number(const DetectionModel& model) {
  using Kind = StateEntry::Kind;
  std::vector<std::string> names;
  for (const Kind kind : {Kind::bias, Kind::weight, Kind::norm_weight}) {
    for (const StateEntry& entry : model.state()) {
      if (entry.kind == kind) names.push_back(entry.name);
    }
  }
  return names;
}

/// One of the optimizer's tensors by entry name.
NamedTensors optimizer_entries(const TrainingState& from, const std::string& key, const DetectionModel& model) {
  NamedTensors entries;
  for (const auto& [name, tensor] : from.optimizer) {
    if (name.starts_with(key + ".")) entries.emplace_back(name.substr(key.size() + 1), tensor);
  }
  if (!from.numbered) return entries;
  const std::vector<std::string> names = names_by_number(model);
  std::size_t parameters = 0;
  for (const auto& group : from.numbered->groups) parameters += group.params.size();
  if (parameters != names.size()) {
    throw InputError(fmt::format("{}: its optimizer has {} parameters, and {} has {}. Resume with the model that it is of", from.facts.file,
                                 parameters, model.name(), names.size()));
  }
  for (const auto& [number, values] : from.numbered->state) {
    const auto value = values.find(key);
    if (value != values.end() && number >= 0 && number < static_cast<std::int64_t>(names.size()))
      entries.emplace_back(names[static_cast<std::size_t>(number)], value->second);
  }
  return entries;
}

}  // namespace

std::optional<TrainingState> load_resumed(const RunSpec& spec, DetectionModel& model) {
  if (spec.resume.empty()) return std::nullopt;
  TrainingState state = read_training_state(spec.resume);
  check_resume(state.facts, spec, model.classes());
  if (!spec.resume_exact) {
    round_to_half(state.model);
    round_to_half(state.ema);
  }
  const int copied = load_matching_state(model, state.model), wanted = static_cast<int>(model.state().size());
  if (copied != wanted) {
    throw InputError(fmt::format("{}: only {} of the {} tensors of {} are in it by name and shape. Resume with the model that it is of",
                                 spec.resume.string(), copied, wanted, model.name()));
  }
  return state;
}

void restore_step(const RunSpec& spec, const TrainingState& from, TrainStep& step) {
  const DetectionModel& model = step.model();
  OptimizerState optimizer{{}, from.optimizer_steps};
  for (const auto& [key, flat] : step.optimizer().state().tensors) {
    optimizer.tensors.emplace_back(key, flatten(optimizer_entries(from, key, model), from.facts.file, model, flat));
  }
  step.optimizer().load(optimizer);
  StepProgress progress = step.progress();
  progress.ema_updates = from.step.ema_updates;
  progress.rates.lr = from.step.rates.lr;
  progress.rates.momentum = from.step.rates.momentum;
  if (spec.resume_exact) progress = from.step;
  step.restore(progress, flatten(from.ema, from.facts.file, model, step.model_state()));
}

void restore_loop(const RunSpec& spec, const TrainingState& from, TrainerParts& parts) {
  parts.first_epoch = from.loop.epoch + 1;
  parts.best_fitness = from.loop.best_fitness;
  parts.best_epoch = from.loop.best_epoch;
  if (!spec.resume_exact) return;
  const auto batches = static_cast<std::int64_t>(parts.loader.batches());
  if (batches != from.step.batches_per_epoch) {
    throw InputError(fmt::format("--resume-exact {}: an epoch had {} batches a rank, with this data set it has {}. Resume with the data set "
                                 "that it was trained on, or use --resume", from.facts.file, from.step.batches_per_epoch, batches));
  }
  parts.stopping = from.loop.stopping;
  parts.class_map = from.loop.class_map;
  if (!parts.class_map.empty()) parts.loader.set_class_map(parts.class_map);
}

}  // namespace valbench
