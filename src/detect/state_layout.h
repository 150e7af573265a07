/// \file
/// The order of a model's floating state in one flat buffer: [weights | norm weights | biases | running statistics | anchors], each in
/// model order. Optimizer groups are contiguous, and a snapshot, an EMA update or a broadcast is one operation.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "detect/detection_model.h"

namespace valbench {

/// Where an entry lies in the flat buffer.
struct StateSlice {
  std::size_t entry = 0;  ///< Index into the model's state().
  std::int64_t offset = 0, elements = 0;
};

/// All floating entries in flat order; batches_tracked is left out.
std::vector<StateSlice> flat_state_layout(const std::vector<StateEntry>& state);

/// Moves all floating entries into one new flat buffer of their dtype and device and re-points them to views of it.
at::Tensor flatten_state(std::vector<StateEntry>& state);

}  // namespace valbench
