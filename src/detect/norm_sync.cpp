#include "detect/norm_sync.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"

namespace valbench {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

thread_local const SumOverRanks* current_sum = nullptr;

constexpr std::int64_t kAllButChannels[] = {0, 2, 3};

at::Tensor per_channel(const at::Tensor& values) { return values.view({1, -1, 1, 1}); }

/// Mean, biased variance and number of values per channel, over all ranks.
struct Statistics {
  at::Tensor mean, variance, count;
};

// In float64 the difference of squares below loses nothing that float32 has, and one exchange is enough.
Statistics statistics_over_ranks(const at::Tensor& x, const SumOverRanks& sum) {
  const auto [variance, mean] = at::var_mean(x.to(at::kFloat), kAllButChannels, /*unbiased=*/false);
  const double count = static_cast<double>(x.numel() / x.size(1));
  const at::Tensor m = mean.to(at::kDouble);
  const at::Tensor sums = at::cat({m * count, (variance.to(at::kDouble) + m * m) * count, at::full({1}, count, m.options())});
  sum(sums);
  const std::int64_t channels = x.size(1);
  const at::Tensor total = sums[2 * channels];
  const at::Tensor all_mean = sums.narrow(0, 0, channels) / total;
  const at::Tensor all_variance = (sums.narrow(0, channels, channels) / total - all_mean * all_mean).clamp_min(0);
  return {all_mean.to(at::kFloat), all_variance.to(at::kFloat), total};
}

class SynchronisedBatchNorm : public torch::autograd::Function<SynchronisedBatchNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& running_mean, const at::Tensor& running_var, NormConstants constants,
                            const SumOverRanks* sum) {
    const Statistics s = statistics_over_ranks(x, *sum);
    const at::Tensor unbiased = s.variance * (s.count / (s.count - 1)).to(at::kFloat);
    at::Tensor(running_mean).mul_(1 - constants.momentum).add_(s.mean, constants.momentum);
    at::Tensor(running_var).mul_(1 - constants.momentum).add_(unbiased, constants.momentum);
    context->save_for_backward({x, weight, s.mean, (s.variance + constants.epsilon).rsqrt(), s.count});
    context->saved_data["sum"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(sum));
    return std::get<0>(at::native_batch_norm(x, weight, bias, s.mean, s.variance, /*training=*/false, 0, constants.epsilon));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &inverse = saved[3];
    const auto& sum = *reinterpret_cast<const SumOverRanks*>(static_cast<std::intptr_t>(context->saved_data["sum"].toInt()));
    const at::Tensor dy = gradients[0].to(at::kFloat);
    const at::Tensor normalised = (x.to(at::kFloat) - per_channel(saved[2])) * per_channel(inverse);
    const at::Tensor bias_gradient = dy.sum(kAllButChannels), weight_gradient = (dy * normalised).sum(kAllButChannels);
    // The ranks' parameter gradients are averaged later, as all others; only the inputs' need every rank's sums here.
    const at::Tensor sums = at::cat({bias_gradient, weight_gradient}).to(at::kDouble);
    sum(sums);
    const at::Tensor means = (sums / saved[4]).to(at::kFloat);
    const std::int64_t channels = x.size(1);
    const at::Tensor centred = dy - per_channel(means.narrow(0, 0, channels)) - normalised * per_channel(means.narrow(0, channels, channels));
    const at::Tensor dx = (centred * per_channel(weight * inverse)).to(x.scalar_type());
    return {dx, weight_gradient, bias_gradient, {}, {}, {}, {}};
  }
};

}  // namespace

NormSyncScope::NormSyncScope(const SumOverRanks& sum) : before_(current_sum) { current_sum = sum ? &sum : nullptr; }

NormSyncScope::~NormSyncScope() { current_sum = before_; }

at::Tensor batch_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                      const at::Tensor& running_var, bool training, NormConstants constants) {
  if (training && current_sum != nullptr) {
    return SynchronisedBatchNorm::apply(x, weight, bias, running_mean, running_var, constants, current_sum);
  }
  if (training && x.numel() == x.size(1)) {
    // Torch's Python side refuses it too; its kernel would divide by zero and leave NaN in the running statistics.
    throw InputError("batch norm cannot train on one value per channel: a batch of one image shrank to 1 x 1 pixel. Use a larger imgsz or "
                     "batch_size, or leave multi_scale or quad off");
  }
  return at::batch_norm(x, weight, bias, running_mean, running_var, training, constants.momentum, constants.epsilon,
                        /*cudnn_enabled=*/true);
}

}  // namespace valbench
