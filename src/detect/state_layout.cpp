#include "detect/state_layout.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace valbench {

std::vector<StateSlice> flat_state_layout(const std::vector<StateEntry>& state) {
  using Kind = StateEntry::Kind;
  std::vector<StateSlice> slices;
  std::int64_t offset = 0;
  for (const Kind kind : {Kind::weight, Kind::norm_weight, Kind::bias, Kind::running_stat, Kind::anchors}) {
    for (std::size_t i = 0; i < state.size(); ++i) {
      if (state[i].kind != kind) continue;
      slices.push_back({i, offset, state[i].tensor.numel()});
      offset += state[i].tensor.numel();
    }
  }
  return slices;
}

at::Tensor flatten_state(std::vector<StateEntry>& state) {
  const c10::NoGradGuard no_gradients;
  const std::vector<StateSlice> slices = flat_state_layout(state);
  const at::Tensor& first = state[slices.front().entry].tensor;
  const at::Tensor flat = at::empty({slices.back().offset + slices.back().elements}, first.options().requires_grad(false));
  for (const StateSlice& slice : slices) {
    at::Tensor& tensor = state[slice.entry].tensor;
    at::Tensor view = flat.narrow(0, slice.offset, slice.elements).view(tensor.sizes());
    view.copy_(tensor);
    tensor.set_data(view);
  }
  return flat;
}

}  // namespace valbench
