#include "train/sgd.h"

#include <ATen/ATen.h>

namespace valbench {

at::Tensor clip_gradient_norm(const at::Tensor& gradients, double max_norm) {
  // In float64: one float32 running sum over millions of elements would lose digits that torch's norm of norms keeps.
  const at::Tensor norm = at::linalg_vector_norm(gradients, 2, std::nullopt, false, at::kDouble).to(at::kFloat);
  const at::Tensor factor = (max_norm / (norm + 1e-6)).clamp_max(1.0);
  at::Tensor(gradients).mul_(factor);
  return norm;
}

Sgd::Sgd(ParameterStore& store, double weight_decay)
    : store_(store), momentum_(at::zeros_like(store.parameters())), weight_decay_{0.0, weight_decay, 0.0} {}

void Sgd::step(const StepRates& rates, const std::optional<at::Tensor>& found_inf) {
  for (std::size_t g = 0; g < 3; ++g) {
    const ParameterSegment& group = store_.groups()[g];
    if (group.elements == 0) continue;
    const auto slice = [&group](const at::Tensor& flat) { return flat.narrow(0, group.offset, group.elements); };
    // A momentum buffer of zeros makes the first step the same as torch's, which starts from the gradient.
    at::_fused_sgd_({slice(store_.parameters())}, {slice(store_.gradients())}, {slice(momentum_)}, weight_decay_[g], rates.momentum,
                    rates.lr[g], /*dampening=*/0.0, /*nesterov=*/true, /*maximize=*/false, /*is_first_step=*/false,
                    /*grad_scale=*/{}, found_inf);
  }
}

}  // namespace valbench
