/// \file
/// The exactness gate, off the clock: is a strategy's last result what rank 0 alone would have computed, and how far is it from the
/// full set in fp32?
#pragma once
#include <string>

#include "validate/scorer.h"

namespace valbench {

/// The first value in which two results of one snapshot differ (`map50: 0.41 != 0.42`), or empty when every bit is equal: P, R, mAP,
/// every class, loss and counts. Epoch, times and checksums are not compared.
std::string first_difference(const ValidationRecord& result, const ValidationRecord& reference);

/// Re-scores `state` on this rank by the rank0 placement (same batches, shape, precision, threads) and by a full-set fp32 pass. Called on
/// rank 0 while the others wait. A subset claims no exactness with the full set: not_claimed, but a difference is still reported.
ExactnessRecord check_exactness(const ValidationContext& context, const at::Tensor& state, const ValidationRecord& last);

}  // namespace valbench
