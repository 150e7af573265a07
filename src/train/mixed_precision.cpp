#include "train/mixed_precision.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <vector>

namespace valbench {

AutocastScope::AutocastScope(AmpMode mode) : active_(mode != AmpMode::off) {
  if (!active_) return;
  at::autocast::set_autocast_enabled(at::kCUDA, true);
  at::autocast::set_autocast_dtype(at::kCUDA, mode == AmpMode::fp16 ? at::kHalf : at::kBFloat16);
  at::autocast::increment_nesting();
}

AutocastScope::~AutocastScope() {
  if (!active_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCUDA, false);
}

GradientScaler::GradientScaler(c10::Device device) {
  const auto options = at::TensorOptions().device(device).dtype(at::kFloat);
  scale_ = at::full({}, 65536.0, options);
  growth_tracker_ = at::zeros({}, options.dtype(at::kInt));
  found_inf_ = at::zeros({}, options);
}

at::Tensor GradientScaler::scale(const at::Tensor& loss) const { return loss * scale_; }

void GradientScaler::unscale(const at::Tensor& gradients) {
  found_inf_.zero_();
  std::vector<at::Tensor> list{gradients};
  at::_amp_foreach_non_finite_check_and_unscale_(list, found_inf_, scale_.to(at::kDouble).reciprocal().to(at::kFloat));
}

void GradientScaler::update() {
  at::_amp_update_scale_(scale_, growth_tracker_, found_inf_, /*growth=*/2.0, /*backoff=*/0.5, /*interval=*/2000);
}

double GradientScaler::factor() const { return scale_.item<double>(); }
std::int64_t GradientScaler::good_steps() const { return growth_tracker_.item<std::int64_t>(); }

void GradientScaler::restore(double factor, std::int64_t good_steps) {
  scale_.fill_(factor);
  growth_tracker_.fill_(good_steps);
}

}  // namespace valbench
