#include <fmt/format.h>

#include "base/log.h"
#include "launch/sweep_folder.h"
#include "main/commands/sweep_runner.h"

namespace valbench {

int run_sweep(const SweepOptions& options) {
  const Scenario scenario = scenario_of(options);
  const SweepPlan plan = plan_of(scenario, options);
  check_sweep_folder(plan.folder, options.resume);
  if (options.resume) check_resumable(scenario, plan);
  const auto [images, warnings] = check_data(scenario);
  const auto program = checked_rank_program();
  for (const auto& skipped : plan.skipped) log_warning("skipped: " + skipped.strategy + ": " + skipped.reason);
  warn_of_group_timeout(plan, images);
  const SweepFolder folder(plan.folder, options.resume);
  prepare_data(scenario, plan);
  SweepRunner runner(plan, options.resume, program, [&] { refresh_reports(scenario, plan); });
  const int code = runner.run_all();
  if (code == SweepRunner::kInterrupted) {
    log_note("stopped. Complete runs are kept; continue with --resume");
    return code;
  }
  if (!print_comparison(scenario, plan)) {
    for (const auto& warning : warnings) log_warning(warning);
  }
  if (runner.failed_runs() > 0)
    log_error(fmt::format("{} of {} runs failed; redo them with --resume", runner.failed_runs(), plan.runs.size()));
  log_note("results: " + plan.folder.string());
  return code;
}

}  // namespace valbench
