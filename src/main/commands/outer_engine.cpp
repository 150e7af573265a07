// Sweeps whose runs another launcher makes: what it is given before, and the report afterwards.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "launch/sweep_folder.h"
#include "main/commands/sweep_stages.h"
#include "record/run_store.h"

namespace valbench {

void write_plan(const Scenario& scenario, const SweepPlan& plan) {
  check_resumable(scenario, plan);
  const SweepFolder folder(plan.folder, true);
  prepare_data(scenario, plan);
  std::string list;
  for (const RunSpec& run : plan.runs) {
    if (SweepFolder::complete(run)) continue;
    SweepFolder::prepare(run);
    list += (run.folder / kSpecFile).string() + "\n";
  }
  const auto file = plan.folder / "runs.txt";
  write_atomically(file, list);
  log_note(fmt::format(
      "{} of {} runs are to be made; {} names their spec.json in order: start valbench-rank --spec FILE for each, on "
      "{} "
      "ranks",
      std::count(list.begin(), list.end(), '\n'), plan.runs.size(), file.string(), plan.runs.front().ranks));
}

int run_report(const SweepOptions& options) {
  constexpr int kRunsMissing = 4;
  const Scenario scenario = scenario_of(options);
  const SweepPlan plan = plan_of(scenario, options);
  if (!std::filesystem::is_directory(plan.folder)) {
    throw InputError(plan.folder.string() + ": no such folder. Name the one of the sweep with --out DIR");
  }
  const auto complete = [](const RunSpec& run) { return run_state(run.folder) == RunState::complete; };
  const auto there = static_cast<std::size_t>(std::count_if(plan.runs.begin(), plan.runs.end(), complete));
  refresh_reports(scenario, plan);
  print_comparison(scenario, plan);
  if (there == plan.runs.size()) return 0;
  log_warning(fmt::format("{} of {} runs are not complete", plan.runs.size() - there, plan.runs.size()));
  return kRunsMissing;
}

}  // namespace valbench
