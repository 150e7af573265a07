/// \file
/// The runs of a sweep, in the order in which they are made.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "scenario/scenario.h"

namespace valbench {

/// A strategy that cannot run here.
struct Skipped {
  std::string strategy;
  std::string reason;
};

/// What a sweep does.
struct SweepPlan {
  std::filesystem::path folder;  ///< Absolute; run folders lie in it.
  std::vector<RunSpec> runs;     ///< In running order: round by round, shuffled inside each round by the seed.
  std::vector<Skipped> skipped;
};

/// Why a strategy cannot run on these ranks and this device, beginning with the key at fault; empty when it can.
std::string reason_not_to_run(const RunSpec& base, const ValidationSpec& strategy);

/// Strategies times rounds. The order inside a round depends on seed and round alone, so more rounds keep the earlier
/// ones. Throws InputError when the baseline cannot run here.
SweepPlan plan_sweep(const Scenario& scenario, const std::filesystem::path& folder);

/// `results/NAME` in the current folder.
std::filesystem::path default_sweep_folder(const Scenario& scenario);

/// The first setting in which two specs ask for different work, as `epochs: 1, now 2`; empty when there is none. Folder,
/// position in the order (a strategy more changes it) and notices are no work.
std::string difference_in_work(const RunSpec& before, const RunSpec& now);
/// Whether a run made from `a` can stand for `b`.
bool same_work(const RunSpec& a, const RunSpec& b);

}  // namespace valbench
