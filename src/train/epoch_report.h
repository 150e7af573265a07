/// \file
/// What an epoch came to, for whoever writes it down: results.csv, the console.
#pragma once
#include <array>
#include <cstdint>
#include <functional>

#include "record/run_record.h"

namespace valbench {

/// One epoch on rank 0, told after its validation and before its checkpoints. Where its validation goes on beside the training it is told
/// without (`pending`), and once more with it when the result is there (`late`).
struct EpochReport {
  const EpochRecord& record;            ///< Losses, counts and train_s; epoch_s and phases are not known yet.
  const ValidationRecord* validation;   ///< Null where this epoch has no result (yet).
  std::array<double, 3> lr{};           ///< bias, weight, norm weight at the epoch's end, before the scheduler's step.
  bool best = false;                    ///< Its fitness is the best so far (ties count).
  bool last = false;                    ///< The run ends with this epoch.
  bool pending = false;                 ///< Its result will come late.
  bool late = false;                    ///< The epoch was reported before; lr is not repeated.
};

/// Called on rank 0 only, once per epoch and once per late result.
using EpochSink = std::function<void(const EpochReport&)>;

class TrainStep;

/// A training batch on rank 0.
struct BatchReport {
  int epoch = 0;
  std::int64_t batch = 0, batches = 0;  ///< The first batch is 1.
  std::int64_t instances = 0;           ///< Labels in it.
  std::int64_t size = 0;                ///< Width of its images.
  const TrainStep& step;                ///< Asked for its losses it waits for the device.
};

/// Called on rank 0 only, after every batch, in place of the ProgressSink.
using BatchSink = std::function<void(const BatchReport&)>;

}  // namespace valbench
