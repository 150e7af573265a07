#include "train/ema.h"

#include <ATen/ATen.h>

#include <cmath>

namespace valbench {

double ema_decay(std::int64_t update) { return 0.9999 * (1 - std::exp(-static_cast<double>(update) / 2000)); }

Ema::Ema(const at::Tensor& state) : state_(state.detach().clone()) {}

void Ema::update(const at::Tensor& state) {
  const double decay = ema_decay(++updates_);
  state_.mul_(decay).add_(state, 1 - decay);
}

void Ema::restore(const at::Tensor& state, std::int64_t updates) {
  state_.copy_(state);
  updates_ = updates;
}

}  // namespace valbench
