/// \file
/// The deterministic mode: two runs of one spec are equal bit for bit.
#pragma once

namespace valbench {

/// Before the first use of a GPU. CPU runs are deterministic as they are. On GPUs it
/// - takes cuDNN's deterministic convolutions and no benchmarking, and cuBLAS's fixed workspaces;
/// - lets torch choose deterministic kernels, and fail where it has none;
/// - replaces the backward pass of max pooling, which adds with atomics, channels-last or not (detect/max_pool.h).
void use_deterministic_algorithms(bool enabled);

}  // namespace valbench
