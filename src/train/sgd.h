/// \file
/// SGD with Nesterov momentum over the flat buffers (reference yolov5.md §4.1).
#pragma once
#include <array>

#include "train/optimizer.h"

namespace valbench {

class Sgd final : public Optimizer {
 public:
  Sgd(ParameterStore& store, double weight_decay);
  void step(const StepRates& rates, const std::optional<at::Tensor>& found_inf) override;
  OptimizerState state() const override { return {{{"momentum_buffer", momentum_}}}; }
  void load(const OptimizerState& state) override { load_flat_state(state, "momentum_buffer", momentum_); }

 private:
  ParameterStore& store_;
  at::Tensor momentum_;
  std::array<double, 3> weight_decay_;
};

}  // namespace valbench
