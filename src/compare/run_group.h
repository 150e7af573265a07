/// \file
/// The runs of one strategy, and whether they, and those of the baseline, have done the same work: without that no time decides anything.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "compare/run_measures.h"
#include "record/run_record.h"

namespace valbench {

/// The usable runs of one strategy by round.
struct RunGroup {
  std::string name;
  std::map<int, const RunRecord*> rounds;
  std::vector<RunMeasures> measures;  ///< In the order of rounds.
  int failed = 0;
};

/// Appends `text` where it is not empty and not there yet.
void add_once(std::vector<std::string>& list, const std::string& text);

/// What the runs themselves say against them, and what differs between rounds of one strategy.
std::vector<std::string> reasons_within(const RunGroup& group);

/// What must not differ between the baseline and a strategy. Not amp, cache, workers, threads and ranks: those are ways to do the same work.
std::vector<std::string> reasons_against(const RunGroup& baseline, const RunGroup& group);

}  // namespace valbench
