/// \file
/// Adam and AdamW over the flat buffers, as YOLOv5 sets them up (reference yolov5.md §4.1): betas (momentum, 0.999), eps 1e-8.
#pragma once
#include <array>

#include "train/optimizer.h"

namespace valbench {

class Adam final : public Optimizer {
 public:
  /// Weight decay as a part of the gradient (Adam), or as a shrinking of the weights by lr times decay (AdamW).
  enum class Decay { coupled, decoupled };

  Adam(ParameterStore& store, double weight_decay, double beta1, Decay decay);
  void step(const StepRates& rates, const std::optional<at::Tensor>& found_inf) override;
  OptimizerState state() const override;
  void load(const OptimizerState& state) override;

 private:
  ParameterStore& store_;
  at::Tensor mean_, square_;  // exp_avg, exp_avg_sq
  at::Tensor steps_;          // On the device: whether a step counts is known only there.
  std::array<double, 3> weight_decay_;
  double beta1_;
  Decay decay_;
};

}  // namespace valbench
