#include <fmt/format.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "launch/launcher.h"
#include "launch/sweep_folder.h"
#include "main/commands/sweep_stages.h"

namespace valbench {
namespace {

constexpr int kDone = 0, kRunFailed = 4, kInterrupted = 130;

std::vector<std::string> strategies_from(const std::vector<RunSpec>& runs, std::size_t first) {
  std::vector<std::string> names;
  for (std::size_t i = first; i < runs.size(); ++i) names.push_back(runs[i].validation.name);
  return names;
}

/// The runs of a plan, one after the other.
class SweepRunner {
 public:
  SweepRunner(const Scenario& scenario, const SweepPlan& plan, bool resume, std::filesystem::path program)
      : scenario_(scenario), plan_(plan), resume_(resume), program_(std::move(program)) {
    if (resume_) eta_ = durations_in(plan.folder);
  }

  /// The exit code of the sweep.
  int run_all() {
    for (std::size_t i = 0; i < plan_.runs.size(); ++i) {
      const RunSpec& spec = plan_.runs[i];
      if (resume_ && SweepFolder::complete(spec)) {
        progress_.line(fmt::format("[{}/{}] {}: kept", i + 1, plan_.runs.size(), spec.run_id));
        continue;
      }
      if (signals_.take_stop_request()) return kInterrupted;
      const LaunchResult result = run_one(i);
      if (result.status == RunStatus::interrupted) return kInterrupted;
      if (result.bad_input) throw InputError(result.failure);
      refresh_reports(scenario_, plan_);
    }
    return failed_runs_ == 0 ? kDone : kRunFailed;
  }

  int failed_runs() const { return failed_runs_; }

 private:
  LaunchResult run_one(std::size_t index) {
    const RunSpec& spec = plan_.runs[index];
    SweepFolder::prepare(spec);
    const auto waiting = strategies_from(plan_.runs, index + 1);
    const std::int64_t begin_ns = now_ns();
    const std::string head = fmt::format("[{}/{}] {}", index + 1, plan_.runs.size(), spec.run_id);
    const LaunchResult result = launch_run(spec, program_, signals_, [&](const RankProgress& p) {
      const double elapsed_s = seconds_between(begin_ns, now_ns());
      const double done = (static_cast<double>(index) + p.fraction()) / static_cast<double>(plan_.runs.size());
      progress_.update(
          done, eta_.left_s(spec.validation.name, elapsed_s, p.fraction(), waiting),
          fmt::format("{}  epoch {}/{} {} {}/{}", head, p.epoch + 1, p.epochs, p.phase, p.batch, p.batches), now_ns());
    });
    const double seconds = seconds_between(begin_ns, now_ns());
    if (result.status == RunStatus::complete) {
      eta_.finished(spec.validation.name, seconds);
      const double left_s = eta_.estimate_s(waiting);
      progress_.line(head + ": " + format_duration(seconds) +
                     (waiting.empty() ? "" : ", " + format_duration(left_s) + " left"));
    } else if (!result.bad_input) {
      failed_runs_ += result.status == RunStatus::failed ? 1 : 0;
      progress_.line(head + ": " + result.failure);
    }
    return result;
  }

  const Scenario& scenario_;
  const SweepPlan& plan_;
  bool resume_;
  std::filesystem::path program_;
  SweepEta eta_;
  SignalWatch signals_;
  Progress progress_ = Progress::on_stderr();
  int failed_runs_ = 0;
};

}  // namespace

int run_sweep(const SweepOptions& options) {
  const Scenario scenario = scenario_of(options);
  const SweepPlan plan = plan_of(scenario, options);
  check_sweep_folder(plan.folder, options.resume);
  if (options.resume) check_resumable(scenario, plan);
  const auto warnings = check_data(scenario).warnings;
  const auto program = checked_rank_program();
  for (const auto& skipped : plan.skipped) log_warning("skipped: " + skipped.strategy + ": " + skipped.reason);
  const SweepFolder folder(plan.folder, options.resume);
  prepare_data(scenario, plan);
  SweepRunner runner(scenario, plan, options.resume, program);
  const int code = runner.run_all();
  if (code == kInterrupted) {
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
