/// \file
/// YOLOv5's learning rates, momentum and accumulation per step (reference yolov5.md §4.2-4.4), with LambdaLR's off-by-one.
#pragma once
#include <array>
#include <cstdint>

#include "scenario/run_spec.h"

namespace valbench {

inline constexpr double kNominalBatchSize = 64;

/// What is in force for one batch.
struct StepRates {
  std::array<double, 3> lr{};  ///< bias, weight, norm weight
  double momentum = 0;
  double accumulate = 1;  ///< An optimizer step is due when this many batches have passed since the last one.
};

/// Weight decay scaled to the batch (§4.2).
double scaled_weight_decay(double weight_decay, int batch_size);

class LrSchedule {
 public:
  /// \param batch_size over all ranks; \param batches_per_epoch of one rank.
  LrSchedule(const Hyperparameters& hyp, bool cosine, int epochs, int batch_size, std::int64_t batches_per_epoch);

  /// Rates for batch `index` of `epoch`. Batches are asked for in order: rates persist from one to the next as in v7.0's loop.
  StepRates at(int epoch, std::int64_t index);
  /// The scheduler call at the end of an epoch: epoch e + 1 trains with lf(e).
  void end_epoch(int epoch);
  const StepRates& current() const { return rates_; }
  void restore(const StepRates& rates) { rates_ = rates; }  ///< Those in force at the end of an epoch.
  std::int64_t warmup_batches() const { return warmup_batches_; }

 private:
  double factor(int epoch) const;

  Hyperparameters hyp_;
  bool cosine_;
  int epochs_;
  double nominal_over_batch_;
  std::int64_t batches_per_epoch_;
  std::int64_t warmup_batches_;
  StepRates rates_;
};

}  // namespace valbench
