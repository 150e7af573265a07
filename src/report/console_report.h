/// \file
/// The comparison as a person reads it on a terminal: a table, then what it means in sentences.
#pragma once
#include <string>
#include <vector>

#include "compare/comparison.h"

namespace valbench {

/// At most 120 columns wide; ends with a line feed. `colour` adds ANSI colours to the verdicts: pass true on terminals
/// only.
std::string console_report(const SweepComparison& comparison, bool colour);

/// The sentences under the table, one string each, not wrapped.
std::vector<std::string> report_sentences(const SweepComparison& comparison);

}  // namespace valbench
