/// \file
/// Runs the ranks of one run on this machine and watches over them.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "scenario/run_spec.h"

namespace valbench {

class SignalWatch;

/// A line of rank 0: `epoch E batch B BATCHES phase`, then `name=number` as often as needed. Epochs and batches count from
/// 0. Phases are train, validate, done for a finished epoch, validated for a result that came after that, and closing for the validation
/// after the last epoch.
struct RankProgress {
  int epoch = 0, epochs = 1;
  int batch = 0, batches = 1;
  std::string phase;
  std::map<std::string, double> values;
  double fraction() const;  ///< Of the whole run, 0..1; training is taken as 0.6 of an epoch.
};
/// Nothing when the line has another form. `epochs` is the run's.
std::optional<RankProgress> parse_rank_progress(const std::string& line, int epochs);

enum class RunStatus { complete, failed, interrupted };

/// How a run ended.
struct LaunchResult {
  RunStatus status = RunStatus::complete;
  std::string failure;     ///< Of the rank that failed first, with its last log lines; empty when complete.
  bool bad_input = false;  ///< That rank exited with code 2: every other run would fail alike.
};

/// What the ranks are started with, and the file in the run folder that says they are done.
struct RankCommand {
  std::string option = "--spec";
  std::string spec_file = "spec.json";
  /// Of the validation that closes a single training; empty = none. With one, the result file says that the training itself is done: it
  /// is kept, and no failed.json written, whatever becomes of that validation.
  std::string closing_file;
  std::string result_file = "run.json";
  bool failure_record = true;  ///< Write failed.json where the run does not complete.
};

/// Starts the ranks of `spec` (its folder holds spec.json) and waits for them. A rank that fails, or a stop request,
/// stops all others: SIGTERM at once, SIGKILL after 5 s. Complete means: all exited with 0 and run.json exists;
/// otherwise failed.json says why and the folder is kept. Throws ProcessError when the program cannot be started.
/// \param command other names than spec.json and run.json, for work that is no training run.
LaunchResult launch_run(const RunSpec& spec, const std::filesystem::path& rank_program, SignalWatch& signals,
                        const std::function<void(const RankProgress&)>& on_progress, const RankCommand& command = {});

}  // namespace valbench
