/// \file
/// YOLOv5's exponential moving average of weights and running statistics (reference yolov5.md §4.7).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace valbench {

/// Decay at the k-th update, k = 1, 2, …: 0.9999 (1 - exp(-k / 2000)).
double ema_decay(std::int64_t update);

class Ema {
 public:
  /// Copies a flat state.
  explicit Ema(const at::Tensor& state);
  void update(const at::Tensor& state);
  const at::Tensor& state() const { return state_; }
  std::int64_t updates() const { return updates_; }
  /// Goes on from a flat state on any device.
  void restore(const at::Tensor& state, std::int64_t updates);

 private:
  at::Tensor state_;
  std::int64_t updates_ = 0;
};

}  // namespace valbench
