/// \file
/// Max pooling that keeps the size (SPP, SPPF), with a deterministic backward pass on request.
#pragma once
#include <ATen/core/Tensor.h>

namespace valbench {

/// Stride 1, odd kernel, padded by kernel / 2. With torch's deterministic algorithms on, the backward pass on GPUs adds in a fixed order.
at::Tensor same_size_max_pool(const at::Tensor& x, std::int64_t kernel);

/// The same forward pass and gradient by the deterministic way on any device: each pixel's gradients are sorted before they are added.
at::Tensor deterministic_max_pool(const at::Tensor& x, std::int64_t kernel);

}  // namespace valbench
