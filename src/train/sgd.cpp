#include "train/sgd.h"

#include <ATen/ATen.h>

namespace valbench {

Sgd::Sgd(ParameterStore& store, double weight_decay)
    : store_(store), momentum_(at::zeros_like(store.parameters())), weight_decay_{0.0, weight_decay, 0.0} {}

void Sgd::step(const StepRates& rates, const std::optional<at::Tensor>& found_inf) {
  for (std::size_t g = 0; g < 3; ++g) {
    const auto parameters = store_.active_parts(g, store_.parameters());
    if (parameters.empty()) continue;
    // A momentum buffer of zeros makes the first step the same as torch's, which starts from the gradient.
    at::_fused_sgd_(parameters, store_.active_parts(g, store_.gradients()), store_.active_parts(g, momentum_), weight_decay_[g],
                    rates.momentum, rates.lr[g], /*dampening=*/0.0, /*nesterov=*/true, /*maximize=*/false, /*is_first_step=*/false,
                    /*grad_scale=*/{}, found_inf);
  }
}

}  // namespace valbench
