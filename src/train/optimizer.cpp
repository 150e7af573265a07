#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "base/error.h"
#include "train/adam.h"
#include "train/sgd.h"

namespace valbench {

at::Tensor clip_gradient_norm(const at::Tensor& gradients, double max_norm) {
  // In float64: one float32 running sum over millions of elements would lose digits that torch's norm of norms keeps.
  const at::Tensor norm = at::linalg_vector_norm(gradients, 2, std::nullopt, false, at::kDouble).to(at::kFloat);
  const at::Tensor factor = (max_norm / (norm + 1e-6)).clamp_max(1.0);
  at::Tensor(gradients).mul_(factor);
  return norm;
}

void load_flat_state(const OptimizerState& state, const std::string& name, at::Tensor& own) {
  const c10::NoGradGuard no_gradients;
  for (const auto& [key, tensor] : state.tensors) {
    if (key != name) continue;
    if (tensor.numel() != own.numel()) {
      throw Error(fmt::format("optimizer state {} has {} values, and the model {}", name, tensor.numel(), own.numel()));
    }
    own.copy_(tensor.view(own.sizes()));
    return;
  }
  throw Error(fmt::format("the optimizer state has no {}: it is of another optimizer", name));
}

std::unique_ptr<Optimizer> make_optimizer(OptimizerKind kind, ParameterStore& store, double weight_decay, double momentum) {
  switch (kind) {
    case OptimizerKind::adam: return std::make_unique<Adam>(store, weight_decay, momentum, Adam::Decay::coupled);
    case OptimizerKind::adamw: return std::make_unique<Adam>(store, weight_decay, momentum, Adam::Decay::decoupled);
    default: return std::make_unique<Sgd>(store, weight_decay);
  }
}

}  // namespace valbench
