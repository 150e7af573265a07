#include <fmt/format.h>

#include "base/log.h"
#include "base/progress.h"
#include "main/commands/sweep_stages.h"

namespace valbench {

int run_plan(const SweepOptions& options) {
  const Scenario scenario = scenario_of(options);
  const SweepPlan plan = plan_of(scenario, options);
  const CheckedData data = check_data(scenario);
  std::vector<std::string> strategies;
  double guess_s = 0;
  for (const auto& run : plan.runs) {
    strategies.push_back(run.validation.name);
    guess_s += guess_run_s(run, data.images);
    print_line(fmt::format("{:4}  round {:2}  {:<32} {}", run.order, run.round, run.run_id, run.validation.name));
  }
  for (const auto& skipped : plan.skipped)
    print_line(fmt::format("skipped     {}: {}", skipped.strategy, skipped.reason));
  const RunSpec& first = plan.runs.front();
  print_line(fmt::format("{} runs of {} on {} ranks ({}), {} {} each, into {}", plan.runs.size(), first.model,
                         first.ranks, to_string(first.device), first.epochs, first.epochs == 1 ? "epoch" : "epochs",
                         plan.folder.string()));
  const double seconds = durations_in(plan.folder).estimate_s(strategies);
  print_line(seconds < 0 ? "estimated time: roughly " + format_duration(guess_s) +
                               " (a guess from images and model; a sweep's first run tells more)"
                         : "estimated time: " + format_duration(seconds) + " (from the complete runs in that folder)");
  for (const auto& warning : data.warnings) log_warning(warning);
  warn_of_group_timeout(plan, data.images);
  if (options.write) write_plan(scenario, plan);
  return 0;
}

}  // namespace valbench
