// Where a sweep meets the analysis: records in, tables out.
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "compare/comparison.h"
#include "main/commands/sweep_stages.h"
#include "record/run_store.h"
#include "report/console_report.h"
#include "report/csv_report.h"
#include "report/traced_report.h"

namespace valbench {
namespace {

bool has_baseline(const std::vector<RunRecord>& records, const std::string& baseline) {
  return std::any_of(records.begin(), records.end(), [&](const RunRecord& record) {
    return record.status == "complete" && !record.spec.profile && record.spec.validation.name == baseline;
  });
}

}  // namespace

std::vector<RunRecord> records_of(const SweepPlan& plan) {
  std::vector<RunRecord> records;
  for (auto& record : read_runs(plan.folder)) {
    const auto planned = [&](const RunSpec& run) { return run.run_id == record.spec.run_id; };
    if (std::any_of(plan.runs.begin(), plan.runs.end(), planned)) records.push_back(std::move(record));
  }
  return records;
}

SweepEta durations_in(const std::filesystem::path& folder) {
  SweepEta eta;
  if (!std::filesystem::is_directory(folder)) return eta;
  for (const auto& record : read_runs(folder)) {
    if (record.status == "complete") eta.finished(record.spec.validation.name, record.startup_s + record.job_s);
  }
  return eta;
}

void refresh_reports(const Scenario& scenario, const SweepPlan& plan) {
  const auto records = records_of(plan);
  if (!has_baseline(records, scenario.baseline)) return write_run_csv(records, plan.folder);
  write_csv_reports(compare_sweep(records, scenario.baseline, scenario.margin), records, plan.folder);
}

bool print_comparison(const Scenario& scenario, const SweepPlan& plan) {
  const auto records = records_of(plan);
  const std::string traced = traced_report(records, scenario.baseline);
  if (!traced.empty()) print_line(traced);
  if (!has_baseline(records, scenario.baseline)) {
    if (!traced.empty()) return false;
    log_warning("no comparison: no complete, untraced run of the baseline " + scenario.baseline + " in " +
                plan.folder.string());
    return false;
  }
  print_line(console_report(compare_sweep(records, scenario.baseline, scenario.margin), ::isatty(STDOUT_FILENO) == 1));
  return true;
}

}  // namespace valbench
