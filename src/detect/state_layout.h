/// \file
/// The order of a model's floating state in one flat buffer: [weights | norm weights | biases | running statistics | anchors], each in
/// model order. Optimizer groups are contiguous, and a snapshot, an EMA update or a broadcast is one operation. Every entry begins at a
/// multiple of kSliceAlignment elements; the gaps are zeros.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "detect/detection_model.h"

namespace valbench {

/// cuDNN and vectorised kernels read 16 bytes at a time and fault on views that begin elsewhere; 64 elements keep fp16 and fp32 views on
/// the allocator's own 128-byte lines.
inline constexpr std::int64_t kSliceAlignment = 64;

/// Where an entry lies in the flat buffer.
struct StateSlice {
  std::size_t entry = 0;  ///< Index into the model's state().
  std::int64_t offset = 0, elements = 0;
};

/// Where the entry after `slice` begins.
constexpr std::int64_t aligned_end(const StateSlice& slice) {
  return (slice.offset + slice.elements + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
}

/// All floating entries in flat order; batches_tracked is left out.
std::vector<StateSlice> flat_state_layout(const std::vector<StateEntry>& state);

/// The part of a flat buffer that belongs to one entry, shaped and laid out in memory as `like` is.
at::Tensor entry_view(const at::Tensor& flat, const StateSlice& slice, const at::Tensor& like);

/// What lies in `flat`, entry by entry of the layout, on the host and row-major, as files have it; entries behind its end are left out.
/// On CPUs these may be views of `flat`.
std::vector<std::pair<StateSlice, at::Tensor>> host_entries(const at::Tensor& flat, const std::vector<StateEntry>& state);

/// Moves all floating entries into one new flat buffer of their dtype and device and re-points them to views of it.
at::Tensor flatten_state(std::vector<StateEntry>& state);

/// Lays convolution weights out channels-last, the layout that cuDNN is fast in. Before flatten_state.
void use_channels_last(std::vector<StateEntry>& state);

}  // namespace valbench
