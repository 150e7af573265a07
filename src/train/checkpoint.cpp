#include "train/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "detect/state_layout.h"
#include "detect/weights/model_weights.h"

namespace valbench {

SafetensorsFile checkpoint_content(const DetectionModel& model, const at::Tensor& flat_state, const CheckpointInfo& info) {
  const at::Tensor host = flat_state.detach().to(at::kHalf).cpu();
  const std::vector<StateEntry>& state = model.state();
  SafetensorsFile content;
  content.tensors.resize(state.size());
  for (std::size_t i = 0; i < state.size(); ++i) content.tensors[i] = {state[i].name, state[i].tensor};
  for (const StateSlice& slice : flat_state_layout(state)) {
    content.tensors[slice.entry].second = entry_view(host, slice, state[slice.entry].tensor);
  }
  for (auto& [name, tensor] : content.tensors) tensor = tensor.detach().cpu().contiguous();
  content.metadata = {{"format", "valbench-checkpoint-1"},
                      {"model", model.name()},
                      {"classes", std::to_string(model.classes())},
                      {"names", fmt::format("{}", fmt::join(info.class_names, ","))},
                      {"epoch", std::to_string(info.epoch)},
                      {"fitness", fmt::format("{:.17g}", info.fitness)}};
  return content;
}

int load_checkpoint(const std::filesystem::path& file, DetectionModel& model, const Hyperparameters& hyp) {
  return load_model_weights(file, {.anchors = hyp.anchors == 0}, model);
}

}  // namespace valbench
