/// \file
/// What traced runs tell: where the time of the hosts and GPUs went. No verdict: tracing changes timing.
#pragma once
#include <string>
#include <vector>

#include "record/run_record.h"

namespace valbench {

/// A table with a row per strategy, the baseline first, then the GPU's busiest phases and what was not measured or lost. Only complete,
/// traced runs count. At most 120 columns wide; ends with a line feed; empty when there is no such run.
std::string traced_report(const std::vector<RunRecord>& runs, const std::string& baseline);

}  // namespace valbench
