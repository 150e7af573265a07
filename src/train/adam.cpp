#include "train/adam.h"

#include <ATen/ATen.h>

namespace valbench {
namespace {

constexpr double kBeta2 = 0.999, kEpsilon = 1e-8;

}  // namespace

Adam::Adam(ParameterStore& store, double weight_decay, double beta1, Decay decay)
    : store_(store),
      mean_(at::zeros_like(store.parameters())),
      square_(at::zeros_like(store.parameters())),
      steps_(at::zeros({}, store.parameters().options())),
      weight_decay_{0.0, weight_decay, 0.0},
      beta1_(beta1),
      decay_(decay) {}

void Adam::step(const StepRates& rates, const std::optional<at::Tensor>& found_inf) {
  steps_.add_(1);
  for (std::size_t g = 0; g < 3; ++g) {
    const auto parameters = store_.active_parts(g, store_.parameters());
    if (parameters.empty()) continue;
    const auto gradients = store_.active_parts(g, store_.gradients());
    const auto means = store_.active_parts(g, mean_), squares = store_.active_parts(g, square_);
    const std::vector<at::Tensor> steps(parameters.size(), steps_);
    if (decay_ == Decay::coupled) {
      at::_fused_adam_(parameters, gradients, means, squares, {}, steps, rates.lr[g], beta1_, kBeta2, weight_decay_[g], kEpsilon,
                       /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, found_inf);
    } else {
      at::_fused_adamw_(parameters, gradients, means, squares, {}, steps, rates.lr[g], beta1_, kBeta2, weight_decay_[g], kEpsilon,
                        /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, found_inf);
    }
  }
  if (found_inf) steps_.sub_(*found_inf);  // A step left out was none.
}

OptimizerState Adam::state() const {
  return {{{"exp_avg", mean_}, {"exp_avg_sq", square_}}, steps_.item<double>()};
}

void Adam::load(const OptimizerState& state) {
  load_flat_state(state, "exp_avg", mean_);
  load_flat_state(state, "exp_avg_sq", square_);
  steps_.fill_(state.steps);
}

}  // namespace valbench
