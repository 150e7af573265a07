/// \file
/// One rank as a child process.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "launch/rank_environment.h"

namespace valbench {

/// A started rank. Its output goes to rank-N.log of the run folder. Killed and reaped when it is still there at the
/// end.
class RankProcess {
 public:
  RankProcess(const RunSpec& spec, int rank, const std::vector<std::string>& argv, const RankEndpoints& endpoints);
  ~RankProcess();
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  int rank() const { return rank_; }
  bool running() const { return !exit_; }
  const std::optional<ChildExit>& exit() const { return exit_; }
  /// Looks whether it has ended; true when that is new. Never blocks.
  bool refresh();
  /// To the whole process group; nothing once it has ended.
  void send(int signal);

 private:
  int rank_;
  pid_t pid_ = -1;
  std::optional<ChildExit> exit_;
};

/// The last `lines` lines of a log file, indented by two spaces; `(empty)` for an empty or missing one.
std::string last_lines(const std::filesystem::path& log, int lines);

/// The message of rank-N.error.json; empty without one.
std::string error_message(const RunSpec& spec, int rank);

/// Removes what ranks left of how they failed, as many as there were: it is of an earlier work in this folder.
void remove_error_messages(const std::filesystem::path& folder);

/// What a rank was in when it last lived, `in epoch 3, phase train.forward`, of its rank-N.phase; empty without one.
std::string place_of(const RunSpec& spec, int rank);

/// Why a rank failed, for the user: exit code or signal, the phase, what rank-N.error.json says; where the other ranks were; the end of its
/// log.
std::string describe_failure(const RunSpec& spec, int rank, const ChildExit& exit);

}  // namespace valbench
