/// \file
/// Which ranks of a run train, which only validate, and which do both at once.
#pragma once
#include "scenario/run_spec.h"

namespace valbench {

/// How many ranks train: the first ones, so that rank 0 does. The others, if there are any, only validate.
inline int training_ranks(const RunSpec& spec) {
  return spec.validation.placement == Placement::dedicated ? spec.ranks - spec.validation.dedicated_ranks : spec.ranks;
}

/// Does the placement validate at all?
inline bool validates(Placement placement) { return placement != Placement::none; }

/// Do ranks wait in a collective for as long as a whole validation takes? With overlapped and dedicated it is the last one's.
inline bool waits_for_validation(const RunSpec& spec) {
  const ValidationSpec& validation = spec.validation;
  if (validation.placement == Placement::overlapped) return spec.ranks > 1 && validation.overlap == Overlap::rank0;
  return spec.ranks > 1 && (validation.placement == Placement::rank0 || validation.placement == Placement::dedicated);
}

/// Does a rank that trains score at the same time, so that both need memory on one device?
inline bool validates_beside_training(Placement placement) { return placement == Placement::overlapped; }

}  // namespace valbench
