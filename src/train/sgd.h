/// \file
/// SGD with Nesterov momentum over the flat buffers (reference yolov5.md §4.1), and gradient clipping. Neither waits for the device.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <optional>

#include "train/lr_schedule.h"
#include "train/parameter_store.h"

namespace valbench {

/// Scales the gradients to an L2 norm of at most `max_norm`, torch's way: times min(1, max_norm / (norm + 1e-6)). Returns the norm before.
at::Tensor clip_gradient_norm(const at::Tensor& gradients, double max_norm);

class Sgd {
 public:
  Sgd(ParameterStore& store, double weight_decay);
  /// \param found_inf with AMP: 1 on the device means that this step is left out.
  void step(const StepRates& rates, const std::optional<at::Tensor>& found_inf);
  const at::Tensor& momentum_buffer() const { return momentum_; }

 private:
  ParameterStore& store_;
  at::Tensor momentum_;
  std::array<double, 3> weight_decay_;
};

}  // namespace valbench
