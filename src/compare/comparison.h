/// \file
/// Compares the strategies of a sweep with its baseline: records in, numbers and verdicts out. Does no I/O.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "compare/run_measures.h"
#include "compare/verdict.h"
#include "record/run_record.h"

namespace valbench {

/// The smallest margin within which two strategies count as the same.
inline constexpr double kSmallestMargin = 0.01;

/// One row of summary.csv. Times are means over rounds (definitions: run_measures.h).
struct StrategySummary {
  std::string strategy;
  bool is_baseline = false;
  ValidationSpec validation;
  int runs = 0;                                 ///< Complete, untraced runs.
  int failed_runs = 0;                          ///< Not in any number of this row.
  RunMeasures mean;                             ///< Mean over the runs; of peak memory the maximum.
  Measured job_s_median, job_s_mad;             ///< Description only; the verdict uses the pairs.
  std::string exact = "not_claimed";            ///< false when any run is, true when all are.
  std::string first_difference;                 ///< Why exact is false.
  Measured speedup, speedup_low, speedup_high;  ///< Baseline's job_s over this one's, paired by round.
  std::optional<PairedComparison> paired;       ///< Empty for the baseline and where no round has both.
  std::optional<Verdict> verdict;               ///< Empty for a baseline whose runs are valid.
  std::vector<std::string> reasons;             ///< Why the verdict is INVALID or cannot be decided.
  std::vector<std::string> outlier_runs;        ///< Modified z-score of job_s above 3.5; flagged, never left out.
  bool same_as_baseline = false;                ///< An A/A partner: equals the baseline in all but its name.
};

struct SweepComparison {
  std::string scenario, baseline;
  double margin = kSmallestMargin;  ///< The one used.
  double confidence = 0.95;
  RunSpec spec;                             ///< Of the baseline's first run: model, ranks, epochs, device.
  MachineRecord machine;                    ///< Of the baseline's first run.
  std::vector<StrategySummary> strategies;  ///< The baseline first, then in the order of the sweep's records.
  Measured noise_floor;                     ///< Half-width of the A/A interval, relative (0.004 = 0.4 %).
  std::string noise_floor_strategy;         ///< The A/A partner.
  int traced_runs = 0;                      ///< Left out: they explain, they do not decide.
  std::vector<std::string> notes;           ///< Distinct warnings and failures of the runs.
};

/// Groups records by strategy name and pairs each with the baseline by round. Traced and failed runs are counted and
/// left out. `margin` below 1 % counts as 1 %. Throws InputError when no run of the baseline is there, or one strategy
/// has two runs of one round.
SweepComparison compare_sweep(const std::vector<RunRecord>& runs, const std::string& baseline, double margin);

/// Compares candidate runs with baseline runs from anywhere, each of one strategy, paired by round, under the given
/// names.
SweepComparison compare_records(std::vector<RunRecord> baseline, const std::string& baseline_name,
                                std::vector<RunRecord> candidate, const std::string& candidate_name, double margin);

}  // namespace valbench
