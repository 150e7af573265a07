/// \file
/// Mixed precision of training: autocast, and gradient scaling as torch's GradScaler does it, without waiting for the device.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "scenario/run_spec.h"

namespace valbench {

/// Autocast on CUDA while it lives; nothing with AmpMode::off.
class AutocastScope {
 public:
  explicit AutocastScope(AmpMode mode);
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  bool active_;
};

/// Loss scale 65536, doubled after 2000 good steps, halved after one that overflows (torch's defaults).
class GradientScaler {
 public:
  explicit GradientScaler(c10::Device device);
  at::Tensor scale(const at::Tensor& loss) const;
  /// Divides the gradients by the scale; afterwards found_inf() is 1 if any was not finite.
  void unscale(const at::Tensor& gradients);
  const at::Tensor& found_inf() const { return found_inf_; }
  void update();
  double factor() const;           ///< Waits for the device, as good_steps() does.
  std::int64_t good_steps() const;  ///< Since the factor last changed.
  void restore(double factor, std::int64_t good_steps);

 private:
  at::Tensor scale_, growth_tracker_, found_inf_;
};

}  // namespace valbench
