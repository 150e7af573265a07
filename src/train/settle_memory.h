/// \file
/// validation.batch_size max and validation.cache gpu: how much memory a validation may take, measured before training.
#pragma once
#include "validate/scorer.h"

namespace valbench {

/// A collective of all ranks, those that only validate among them, where the spec asks for either; else it does
/// nothing. For `max` every rank that will score, in the exactness check too, scores grey batches of growing size
/// beside what training keeps, and with placement overlapped beside as much as a training step takes; the smallest over
/// the ranks is taken, so that all have one plan. Rank 0 says so among the warnings. Throws InputError on a CPU and
/// where not even one image fits.
ValidationMemory settle_validation_memory(const ValidationContext& context);

}  // namespace valbench
