#include "detect/max_pool.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/csrc/autograd/custom_function.h>

namespace valbench {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class DeterministicMaxPool : public torch::autograd::Function<DeterministicMaxPool> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, std::int64_t kernel) {
    auto [pooled, indices] = at::max_pool2d_with_indices(x, kernel, 1, kernel / 2);
    context->save_for_backward({indices});
    return pooled;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor indices = context->get_saved_variables()[0];
    const at::Tensor& gradient = gradients[0];
    // An index counts within its plane. index_put_ that accumulates sorts first on GPUs, so the order of additions is fixed.
    const std::int64_t planes = gradient.size(0) * gradient.size(1), pixels = gradient.size(2) * gradient.size(3);
    const at::Tensor first = at::arange(planes, indices.options()).mul_(pixels).view({gradient.size(0), gradient.size(1), 1, 1});
    const at::Tensor target = (indices + first).flatten();
    at::Tensor sum = at::zeros({planes * pixels}, gradient.options());
    sum.index_put_({target}, gradient.reshape({-1}), /*accumulate=*/true);
    return {sum.view({gradient.size(0), gradient.size(1), gradient.size(2), gradient.size(3)}), at::Tensor()};
  }
};

}  // namespace

at::Tensor deterministic_max_pool(const at::Tensor& x, std::int64_t kernel) { return DeterministicMaxPool::apply(x, kernel); }

at::Tensor same_size_max_pool(const at::Tensor& x, std::int64_t kernel) {
  if (x.is_cuda() && x.requires_grad() && at::globalContext().deterministicAlgorithms()) return deterministic_max_pool(x, kernel);
  return at::max_pool2d(x, kernel, 1, kernel / 2);
}

}  // namespace valbench
