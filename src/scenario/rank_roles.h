/// \file
/// Which ranks of a run train, and which only validate.
#pragma once
#include "scenario/run_spec.h"

namespace valbench {

/// How many ranks train: the first ones, so that rank 0 does. The others, if there are any, only validate.
inline int training_ranks(const RunSpec& spec) {
  return spec.validation.placement == Placement::dedicated ? spec.ranks - spec.validation.dedicated_ranks : spec.ranks;
}

}  // namespace valbench
