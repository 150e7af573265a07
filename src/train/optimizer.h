/// \file
/// The seam between a training step and its optimizer (reference yolov5.md §4.1), and gradient clipping. None waits for the device.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/lr_schedule.h"
#include "train/parameter_store.h"

namespace valbench {

/// Scales the gradients to an L2 norm of at most `max_norm`, torch's way: times min(1, max_norm / (norm + 1e-6)). Returns the norm before.
at::Tensor clip_gradient_norm(const at::Tensor& gradients, double max_norm);

/// What an optimizer remembers between steps: flat tensors in the order of ParameterStore::parameters(), by torch's names
/// (`momentum_buffer`; `exp_avg`, `exp_avg_sq`), and the number of steps where the optimizer counts them.
struct OptimizerState {
  std::vector<std::pair<std::string, at::Tensor>> tensors;  ///< The optimizer's own: a copy is the caller's business.
  double steps = 0;  ///< Steps taken; those left out by AMP do not count. Reading it waits for the device.
};

/// Updates the parameters of a store from its gradients. Frozen parameters are not touched.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// \param found_inf with AMP: 1 on the device means that this step is left out.
  virtual void step(const StepRates& rates, const std::optional<at::Tensor>& found_inf) = 0;
  virtual OptimizerState state() const = 0;
  /// Takes values over by name. Throws Error when a tensor is missing or of another length.
  virtual void load(const OptimizerState& state) = 0;
};

/// The optimizer of a run. \param weight_decay scaled to the batch, for the weights alone. \param momentum Adam's beta1; SGD's comes with
/// every step, as its warm-up changes it.
std::unique_ptr<Optimizer> make_optimizer(OptimizerKind kind, ParameterStore& store, double weight_decay, double momentum);

/// Fills `own` from the tensor called `name`. Throws Error when there is none of this length.
void load_flat_state(const OptimizerState& state, const std::string& name, at::Tensor& own);

}  // namespace valbench
