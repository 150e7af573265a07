/// \file
/// What a comparison says.
#pragma once
#include <string_view>

#include "stats/paired_comparison.h"

namespace valbench {

enum class Verdict { same, faster, slower, ambiguous, invalid };

/// SAME, FASTER, SLOWER, AMBIGUOUS or INVALID.
std::string_view verdict_name(Verdict verdict);

/// Exit code of `valbench compare`: 0 SAME or FASTER, 1 SLOWER, 3 AMBIGUOUS, 4 INVALID (design §1).
int exit_code(Verdict verdict);

/// Interval within 1/(1 + margin) .. 1 + margin: SAME. Interval without 1 and an estimate beyond the margin: FASTER or
/// SLOWER. Anything else, and fewer than two pairs: AMBIGUOUS (profiling.md §6.2.4).
Verdict judge(const PairedComparison& comparison, double margin);

}  // namespace valbench
