#include "train/parameter_store.h"

#include <ATen/ATen.h>

namespace valbench {
namespace {

std::size_t group_of(StateEntry::Kind kind) {
  switch (kind) {
    case StateEntry::Kind::bias: return 0;
    case StateEntry::Kind::weight: return 1;
    default: return 2;
  }
}

}  // namespace

ParameterStore::ParameterStore(DetectionModel& model) : model_(model), state_(flatten_state(model.state())) {
  std::int64_t trainable = 0;
  for (const StateSlice& slice : flat_state_layout(model.state())) {
    const StateEntry& entry = model.state()[slice.entry];
    if (!entry.trainable()) continue;
    ParameterSegment& group = groups_[group_of(entry.kind)];
    if (group.elements == 0) group.offset = slice.offset;
    group.elements = aligned_end(slice) - group.offset;
    slices_.push_back(slice);
    trainable = aligned_end(slice);
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

void ParameterStore::zero_gradients() { gradients_.zero_(); }

}  // namespace valbench
