/// \file
/// The real programs, run on tiny synthetic images in a folder of the test's own.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "record/run_record.h"
#include "tests/support/scratch_folder.h"

namespace valbench::test {

/// Two strategies, rank0 and sharded, one epoch on 2 ranks: a run takes about a second.
extern const std::string kTinyScenario;

/// How a command ended.
struct Outcome {
  int code = 0;
  std::string output;  ///< Standard output and error in the order of writing.
};

/// `text` with every run of blanks and line ends as one blank: reports are wrapped.
std::string unwrapped(const std::string& text);
/// How often `part` stands in `text`.
int occurrences(const std::string& text, const std::string& part);

/// A folder with scenario.yaml; commands run in it.
class SweepSandbox {
 public:
  explicit SweepSandbox(const std::string& scenario = kTinyScenario) { folder_.write("scenario.yaml", scenario); }

  /// `valbench ARGUMENTS`. `environment` holds NAME=value.
  Outcome valbench(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {}) const;
  /// `valbench sweep scenario.yaml --out out OPTIONS`.
  Outcome sweep(std::vector<std::string> options = {}, const std::vector<std::string>& environment = {}) const;
  /// The program and arguments of such a sweep.
  std::vector<std::string> sweep_command(const std::vector<std::string>& options,
                                         const std::vector<std::string>& environment = {}) const;

  /// A data set of 8 training and 12 validation images in the folder `name`; `data.yaml` is in it.
  std::filesystem::path make_data(const std::string& name) const;
  /// All files and folders with their sizes: equal lists mean that nothing was written.
  std::vector<std::string> listing() const;
  RunRecord record(const std::string& run_id) const { return read_run_record(out() / run_id / "run.json"); }

  const ScratchFolder& folder() const { return folder_; }
  std::filesystem::path path() const { return folder_.path(); }
  std::filesystem::path out() const { return path() / "out"; }

 private:
  ScratchFolder folder_;
};

/// A command that is still running, and what it has written so far.
class RunningCommand {
 public:
  explicit RunningCommand(const std::vector<std::string>& argv);
  ~RunningCommand();
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;

  /// Reads until `text` was written; false when the command ends, or is silent for two minutes, before that.
  bool wrote(const std::string& text);
  void send(int signal) const;
  Outcome finish();

 private:
  bool read_more();

  pid_t pid_ = -1;
  OwnedFd output_;
  std::string text_;
};

/// Processes whose command line names a file in `folder`.
std::vector<pid_t> processes_of(const std::filesystem::path& folder);

}  // namespace valbench::test
