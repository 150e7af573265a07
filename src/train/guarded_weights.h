/// \file
/// What validating must leave alone on a rank that trains.
#pragma once
#include <vector>

#include "train/train_step.h"
#include "validate/weights_guard.h"

namespace valbench {

/// The trained model's whole state (running statistics included), and the EMA on rank 0, which ema: in_place may round. The other ranks
/// have as many bytes to hash, so that nobody waits for rank 0 because of it.
inline std::vector<GuardedWeights> guarded_weights(const TrainStep& step, EmaUse ema) {
  const bool has_ema = step.ema_state().defined();
  return {{"the trained model", step.model_state()},
          {"the EMA", has_ema ? step.ema_state() : step.model_state(), !has_ema || ema == EmaUse::in_place}};
}

}  // namespace valbench
