/// \file
/// What an epoch came to, for whoever writes it down: results.csv, the console.
#pragma once
#include <array>
#include <functional>

#include "record/run_record.h"

namespace valbench {

/// One epoch on rank 0, told after its validation and before its checkpoints.
struct EpochReport {
  const EpochRecord& record;            ///< Losses, counts and train_s; epoch_s and phases are not known yet.
  const ValidationRecord* validation;   ///< Null where this epoch has no result (yet).
  std::array<double, 3> lr{};           ///< bias, weight, norm weight at the epoch's end, before the scheduler's step.
  bool best = false;                    ///< Its fitness is the best so far (ties count).
  bool last = false;                    ///< The run ends with this epoch.
};

/// Called on rank 0 only, once per epoch.
using EpochSink = std::function<void(const EpochReport&)>;

}  // namespace valbench
