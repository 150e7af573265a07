#include "train/parameter_store.h"

#include <ATen/ATen.h>

#include "train/frozen_layers.h"

namespace valbench {
namespace {

std::size_t group_of(StateEntry::Kind kind) {
  switch (kind) {
    case StateEntry::Kind::bias: return 0;
    case StateEntry::Kind::weight: return 1;
    default: return 2;
  }
}

/// Adds a slice, to the last run where it follows without a gap.
void append(std::vector<ParameterSegment>& runs, const StateSlice& slice) {
  if (!runs.empty() && runs.back().offset + runs.back().elements == slice.offset) {
    runs.back().elements = aligned_end(slice) - runs.back().offset;
  } else {
    runs.push_back({slice.offset, aligned_end(slice) - slice.offset});
  }
}

}  // namespace

ParameterStore::ParameterStore(DetectionModel& model, const std::vector<int>& freeze)
    : model_(model), state_(flatten_state(model.state())) {
  check_frozen_layers(model, freeze);
  std::int64_t trainable = 0;
  for (const StateSlice& slice : flat_state_layout(model.state())) {
    StateEntry& entry = model.state()[slice.entry];
    if (!entry.trainable()) continue;
    ParameterSegment& group = groups_[group_of(entry.kind)];
    if (group.elements == 0) group.offset = slice.offset;
    group.elements = aligned_end(slice) - group.offset;
    trainable = aligned_end(slice);
    if (is_frozen(entry.name, freeze)) {
      entry.tensor.requires_grad_(false);
      continue;
    }
    append(active_[group_of(entry.kind)], slice);
    slices_.push_back(slice);
  }
  parameters_ = state_.narrow(0, 0, trainable);
  buffers_ = state_.narrow(0, trainable, state_.numel() - trainable);
  gradients_ = at::zeros_like(parameters_);
  for (const StateSlice& slice : slices_) {
    at::Tensor& tensor = entry(slice);
    // Autograd adds into an existing gradient in place, so these views stay for the whole run.
    tensor.mutable_grad() = entry_view(gradients_, slice, tensor);
  }
}

std::vector<at::Tensor> ParameterStore::active_parts(std::size_t group, const at::Tensor& flat) const {
  std::vector<at::Tensor> parts;
  for (const ParameterSegment& run : active_[group]) parts.push_back(flat.narrow(0, run.offset, run.elements));
  return parts;
}

void ParameterStore::zero_gradients() { gradients_.zero_(); }

}  // namespace valbench
