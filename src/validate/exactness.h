/// \file
/// The exactness gate, off the clock: is a strategy's last result what rank 0 alone would have computed, and how far is it from the
/// full set in fp32?
#pragma once
#include <span>
#include <string>

#include "validate/exactness_evidence.h"
#include "validate/scorer.h"

namespace valbench {

/// The first value in which two results of one snapshot differ (`map50: 0.41 != 0.42`), or empty when every bit is equal: P, R, mAP,
/// every class, loss and counts. Epoch, times and checksums are not compared.
std::string first_difference(const ValidationRecord& result, const ValidationRecord& reference);

/// Why a plan's numbers need not be those of the full set in fp32: `subset 3 of 13 images, shape square`. Empty when it is that plan.
std::string unlike_full_set(const ValidationContext& context, const ScoringPlan& plan, const ScoringPlan& full);

/// Scores what `evidence` kept again on this rank, by the rank0 placement (same batches, shape, precision, threads) and, where that is
/// another plan, by a full-set fp32 pass. Called on rank 0 while the others wait. Exact means: every image scored once, and every
/// detection, label, loss and metric equal bit for bit. A subset and shard images_padded claim no exactness: not_claimed, but a
/// difference is still named.
/// \param validations of the run, ascending by epoch; the gate looks at those that `evidence` holds, and at the last one in any case:
/// without evidence by its metrics alone, where `final_state` is what it scored.
ExactnessRecord check_exactness(const ValidationContext& context, const ExactnessEvidence& evidence,
                                std::span<const ValidationRecord> validations, const at::Tensor& final_state);

}  // namespace valbench
