// `valbench verify`: each strategy of a scenario once, briefly, every validation scored again.
#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/path_kind.h"
#include "launch/sweep_folder.h"
#include "main/commands/sweep_runner.h"
#include "report/verify_table.h"

namespace valbench {
namespace {

constexpr int kUsualEpochs = 2;
constexpr int kWrong = 1;

/// In a folder of the user's choice, which may be that of a sweep: its runs have the same names, and are not replaced by shorter ones.
void refuse_other_runs(const SweepPlan& plan) {
  for (const RunSpec& run : plan.runs) {
    if (!is_file(run.folder / "run.json") || SweepFolder::complete(run)) continue;
    throw InputError(run.folder.string() + " holds a complete run that is no check of these settings. Choose another folder with --out DIR");
  }
}

}  // namespace

int run_verify(const VerifyOptions& options) {
  SweepOptions sweep;
  sweep.scenario = options.scenario;
  sweep.rounds = "1";
  sweep.set = options.set;
  sweep.set.push_back("verify=all");
  if (!options.epochs.empty()) sweep.set.push_back("epochs=" + options.epochs);
  Scenario scenario = scenario_of(sweep);
  if (options.epochs.empty()) scenario.base.epochs = std::min(scenario.base.epochs, kUsualEpochs);
  sweep.out = options.out.empty() ? default_sweep_folder(scenario).concat("-verify") : options.out;
  const SweepPlan plan = plan_of(scenario, sweep);
  check_data(scenario);
  const auto program = checked_rank_program();
  for (const auto& skipped : plan.skipped) log_warning("skipped: " + skipped.strategy + ": " + skipped.reason);
  const SweepFolder folder(plan.folder, /*resume=*/true);
  if (!options.out.empty()) refuse_other_runs(plan);
  prepare_data(scenario, plan);
  SweepRunner runner(plan, /*resume=*/false, program, [] {});
  const int code = runner.run_all();
  if (code == SweepRunner::kInterrupted) return code;
  const auto records = records_of(plan);
  print_line(verify_table(records));
  log_note("results: " + plan.folder.string());
  if (code != SweepRunner::kDone) return code;
  return std::all_of(records.begin(), records.end(), holds_what_it_claims) ? SweepRunner::kDone : kWrong;
}

}  // namespace valbench
