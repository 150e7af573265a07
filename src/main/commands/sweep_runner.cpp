#include "main/commands/sweep_runner.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/error.h"
#include "launch/sweep_folder.h"

namespace valbench {
namespace {

std::vector<std::string> strategies_from(const std::vector<RunSpec>& runs, std::size_t first) {
  std::vector<std::string> names;
  for (std::size_t i = first; i < runs.size(); ++i) names.push_back(runs[i].validation.name);
  return names;
}

}  // namespace

int SweepRunner::run_all() {
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
    after_run_();
  }
  return failed_runs_ == 0 ? kDone : kRunFailed;
}

LaunchResult SweepRunner::run_one(std::size_t index) {
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

}  // namespace valbench
