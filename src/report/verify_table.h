/// \file
/// The table of `valbench verify`: is each strategy exact, and where does it first differ?
#pragma once
#include <string>
#include <vector>

#include "record/run_record.h"

namespace valbench {

/// Did the run score what it claims to have scored? False for a run that differs from rank 0's own validation or is INVALID otherwise.
bool holds_what_it_claims(const RunRecord& run);

/// A row per run, in order of start, then what was found wrong, a line each.
std::string verify_table(const std::vector<RunRecord>& runs);

}  // namespace valbench
