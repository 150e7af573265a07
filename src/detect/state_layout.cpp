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
      offset = aligned_end(slices.back());
    }
  }
  return slices;
}

at::Tensor entry_view(const at::Tensor& flat, const StateSlice& slice, const at::Tensor& like) {
  const at::Tensor part = flat.narrow(0, slice.offset, slice.elements);
  const bool channels_last = like.dim() == 4 && !like.is_contiguous() && like.is_contiguous(at::MemoryFormat::ChannelsLast);
  if (!channels_last) return part.view(like.sizes());
  return part.view({like.size(0), like.size(2), like.size(3), like.size(1)}).permute({0, 3, 1, 2});
}

std::vector<std::pair<StateSlice, at::Tensor>> host_entries(const at::Tensor& flat, const std::vector<StateEntry>& state) {
  std::vector<std::pair<StateSlice, at::Tensor>> entries;
  std::vector<at::Tensor> rows;
  for (const StateSlice& slice : flat_state_layout(state)) {
    if (slice.offset + slice.elements > flat.numel()) continue;
    entries.emplace_back(slice, entry_view(flat.detach(), slice, state[slice.entry].tensor).contiguous());
    rows.push_back(entries.back().second.flatten());
  }
  if (!flat.is_cuda() || rows.empty()) return entries;
  // Laid out on the GPU and copied at once: the host would take longer for it than the copy does.
  const at::Tensor host = at::cat(rows).cpu();
  std::int64_t offset = 0;
  for (auto& [slice, tensor] : entries) {
    tensor = host.narrow(0, offset, slice.elements).view(tensor.sizes());
    offset += slice.elements;
  }
  return entries;
}

void use_channels_last(std::vector<StateEntry>& state) {
  const c10::NoGradGuard no_gradients;
  for (StateEntry& entry : state) {
    if (entry.tensor.dim() == 4) entry.tensor.set_data(entry.tensor.contiguous(at::MemoryFormat::ChannelsLast));
  }
}

at::Tensor flatten_state(std::vector<StateEntry>& state) {
  const c10::NoGradGuard no_gradients;
  const std::vector<StateSlice> slices = flat_state_layout(state);
  const at::Tensor& first = state[slices.front().entry].tensor;
  const at::Tensor flat = at::zeros({aligned_end(slices.back())}, first.options().requires_grad(false));
  for (const StateSlice& slice : slices) {
    at::Tensor& tensor = state[slice.entry].tensor;
    at::Tensor view = entry_view(flat, slice, tensor);
    view.copy_(tensor);
    tensor.set_data(view);
  }
  return flat;
}

}  // namespace valbench
