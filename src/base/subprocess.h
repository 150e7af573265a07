/// \file
/// Child processes that die with their parent, and signals as something to wait for.
#pragma once
#include <signal.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace valbench {

/// A file descriptor with an owner; closed at the end.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd() { close(); }
  int value() const { return fd_; }
  void close();

 private:
  int fd_;
};

/// What to start.
struct ChildOptions {
  std::vector<std::string> argv;                                 ///< argv[0] is a path.
  std::vector<std::pair<std::string, std::string>> environment;  ///< Added to, or in place of, the parent's variables.
  int output_fd = -1;                                            ///< Standard output and error; -1 keeps the parent's.
  std::vector<int> inherited_fds;
};

/// Starts a child in a process group of its own, with all signals unblocked and standard input empty. It is killed when
/// the calling thread ends. Throws ProcessError with the system's reason.
pid_t start_child(const ChildOptions& options);

/// How a child ended.
struct ChildExit {
  int code = 0;    ///< Exit code; meaningless when a signal ended it.
  int signal = 0;  ///< 0 = it exited.
  bool ok() const { return code == 0 && signal == 0; }
};
/// Reaps the child when it has ended, and kills what is left of its group. Never blocks.
std::optional<ChildExit> take_exit(pid_t child);

/// Runs a program to its end and keeps its standard output and error. Killed after `limit_s`. Throws ProcessError when
/// it cannot be started.
struct CapturedRun {
  ChildExit exit;
  std::string output;
  bool timed_out = false;
};
CapturedRun run_captured(const std::vector<std::string>& argv, double limit_s);

/// While one lives, SIGCHLD, SIGINT, SIGTERM and SIGHUP arrive as readable data on fd() and do nothing else.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  int fd() const { return fd_.value(); }
  /// Takes what has arrived. Never blocks. True once somebody asked to stop (SIGINT, SIGTERM, SIGHUP) since the last
  /// call.
  bool take_stop_request();

 private:
  sigset_t before_{};
  OwnedFd fd_;
};

}  // namespace valbench
