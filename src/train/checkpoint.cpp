#include "train/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "detect/state_layout.h"
#include "detect/weights/model_weights.h"

namespace valbench {

at::Tensor batches_tracked(const DetectionModel& model) {
  std::vector<at::Tensor> counters;
  for (const StateEntry& entry : model.state()) {
    if (entry.kind == StateEntry::Kind::batches_tracked) counters.push_back(entry.tensor);
  }
  return counters.empty() ? at::Tensor() : at::stack(counters);
}

SafetensorsFile checkpoint_content(const DetectionModel& model, const at::Tensor& flat_state, const CheckpointInfo& info) {
  const std::vector<StateEntry>& state = model.state();
  SafetensorsFile content;
  content.tensors.resize(state.size());
  std::int64_t counter = 0;
  for (std::size_t i = 0; i < state.size(); ++i) {
    const bool older = state[i].kind == StateEntry::Kind::batches_tracked && info.batches_tracked.defined();
    content.tensors[i] = {state[i].name, older ? info.batches_tracked[counter++] : state[i].tensor};
  }
  for (auto& [slice, tensor] : host_entries(flat_state.detach().to(at::kHalf), state)) content.tensors[slice.entry].second = std::move(tensor);
  for (auto& [name, tensor] : content.tensors) tensor = tensor.detach().cpu();
  content.metadata = {{"format", "valbench-checkpoint-1"},
                      {"model", model.name()},
                      {"classes", std::to_string(model.classes())},
                      {"names", fmt::format("{}", fmt::join(info.class_names, ","))},
                      {"epoch", std::to_string(info.epoch)},
                      {"fitness", fmt::format("{:.17g}", info.fitness)}};
  if (!info.model_yaml.empty()) content.metadata["yaml_text"] = info.model_yaml;
  return content;
}

int load_start_weights(const RunSpec& spec, DetectionModel& model) {
  return load_model_weights(spec.weights, {.anchors = spec.hyp.anchors == 0 && !spec.keep_anchors}, model);
}

}  // namespace valbench
