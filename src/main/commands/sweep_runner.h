/// \file
/// The runs of a plan, one after the other, with progress and time left: what `sweep` and `verify` share.
#pragma once
#include <filesystem>
#include <functional>

#include "base/progress.h"
#include "base/subprocess.h"
#include "launch/launcher.h"
#include "main/commands/sweep_stages.h"

namespace valbench {

class SweepRunner {
 public:
  static constexpr int kDone = 0, kRunFailed = 4, kInterrupted = 130;

  /// \param resume complete runs are kept. \param after_run called after each run that was made.
  SweepRunner(const SweepPlan& plan, bool resume, std::filesystem::path program, std::function<void()> after_run)
      : plan_(plan), resume_(resume), program_(std::move(program)), after_run_(std::move(after_run)) {
    if (resume_) eta_ = durations_in(plan.folder);
  }

  /// The exit code of the sweep. Throws InputError when a rank refuses its input: every other run would fail alike.
  int run_all();
  int failed_runs() const { return failed_runs_; }

 private:
  LaunchResult run_one(std::size_t index);

  const SweepPlan& plan_;
  bool resume_;
  std::filesystem::path program_;
  std::function<void()> after_run_;
  SweepEta eta_;
  SignalWatch signals_;
  Progress progress_ = Progress::on_stderr();
  int failed_runs_ = 0;
};

}  // namespace valbench
