#include "train/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace valbench {
namespace {

constexpr double kMinimumWarmupBatches = 100;

/// numpy.interp over two points.
double interpolate(double x, double x1, double y0, double y1) { return x >= x1 ? y1 : (y1 - y0) / x1 * x + y0; }

// std::nearbyint rounds half to even, as Python's round and numpy's do.
double base_accumulate(int batch_size) { return std::max(std::nearbyint(kNominalBatchSize / batch_size), 1.0); }

}  // namespace

double scaled_weight_decay(double weight_decay, int batch_size) {
  return weight_decay * batch_size * base_accumulate(batch_size) / kNominalBatchSize;
}

LrSchedule::LrSchedule(const Hyperparameters& hyp, bool cosine, int epochs, int batch_size, std::int64_t batches_per_epoch)
    : hyp_(hyp),
      cosine_(cosine),
      epochs_(epochs),
      nominal_over_batch_(kNominalBatchSize / batch_size),
      batches_per_epoch_(batches_per_epoch),
      warmup_batches_(static_cast<std::int64_t>(
          std::max(std::nearbyint(hyp.warmup_epochs * static_cast<double>(batches_per_epoch)), kMinimumWarmupBatches))) {
  rates_.lr.fill(hyp.lr0 * factor(0));
  rates_.momentum = hyp.momentum;
  rates_.accumulate = base_accumulate(batch_size);
}

double LrSchedule::factor(int epoch) const {
  const double share = static_cast<double>(epoch) / epochs_;
  if (cosine_) return (1 - std::cos(std::numbers::pi * share)) / 2 * (hyp_.lrf - 1) + 1;
  return (1 - share) * (1.0 - hyp_.lrf) + hyp_.lrf;
}

StepRates LrSchedule::at(int epoch, std::int64_t index) {
  const std::int64_t ni = index + batches_per_epoch_ * epoch;
  if (ni <= warmup_batches_) {
    const auto x = static_cast<double>(ni);
    const auto end = static_cast<double>(warmup_batches_);
    const double target = hyp_.lr0 * factor(epoch);
    rates_.accumulate = std::max(1.0, std::nearbyint(interpolate(x, end, 1, nominal_over_batch_)));
    rates_.lr = {interpolate(x, end, hyp_.warmup_bias_lr, target), interpolate(x, end, 0, target), interpolate(x, end, 0, target)};
    rates_.momentum = interpolate(x, end, hyp_.warmup_momentum, hyp_.momentum);
  }
  return rates_;
}

void LrSchedule::end_epoch(int epoch) { rates_.lr.fill(hyp_.lr0 * factor(epoch)); }

}  // namespace valbench
