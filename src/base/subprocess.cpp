#include "base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/error.h"

namespace valbench {
namespace {

[[noreturn]] void fail(const std::string& what) { throw ProcessError("cannot " + what + ": " + std::strerror(errno)); }

std::vector<std::string> merged_environment(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    const bool replaced = std::any_of(added.begin(), added.end(), [&](const auto& pair) { return pair.first == name; });
    if (!replaced) all.push_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(char* const* argv, char* const* environment, const ChildOptions& options, pid_t parent,
                         int error_fd) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  if (options.output_fd >= 0) {
    ::dup2(options.output_fd, STDOUT_FILENO);
    ::dup2(options.output_fd, STDERR_FILENO);
  }
  for (const int fd : options.inherited_fds) ::fcntl(fd, F_SETFD, 0);
  ::execve(argv[0], argv, environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t n = ::write(error_fd, &error, sizeof error);
  ::_exit(127);
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void OwnedFd::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

pid_t start_child(const ChildOptions& options) {
  std::vector<std::string> argv_texts = options.argv, environment_texts = merged_environment(options.environment);
  const std::vector<char*> argv = pointers(argv_texts), environment = pointers(environment_texts);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("make a pipe");
  OwnedFd read_end(ends[0]), write_end(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) fail("start " + options.argv[0]);
  if (child == 0) become(argv.data(), environment.data(), options, parent, write_end.value());
  ::setpgid(child, child);
  write_end.close();
  int error = 0;
  ssize_t n = 0;
  do {
    n = ::read(read_end.value(), &error, sizeof error);
  } while (n < 0 && errno == EINTR);
  if (n == sizeof error) {
    ::waitpid(child, nullptr, 0);
    errno = error;
    fail("start " + options.argv[0]);
  }
  return child;
}

std::optional<ChildExit> take_exit(pid_t child) {
  siginfo_t info{};
  // Left as a zombie first: its number cannot be given away while its group is killed.
  if (::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
    return std::nullopt;
  ::kill(-child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? ChildExit{0, WTERMSIG(status)} : ChildExit{WEXITSTATUS(status), 0};
}

CapturedRun run_captured(const std::vector<std::string>& argv, double limit_s) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("make a pipe");
  OwnedFd read_end(ends[0]), write_end(ends[1]);
  const pid_t child = start_child({argv, {}, write_end.value(), {}});
  write_end.close();
  CapturedRun result;
  const std::int64_t deadline_ns = now_ns() + static_cast<std::int64_t>(limit_s * 1e9);
  char buffer[4096];
  for (;;) {
    const std::int64_t left_ms = (deadline_ns - now_ns()) / 1'000'000;
    pollfd readable{read_end.value(), POLLIN, 0};
    const int ready = left_ms > 0 ? ::poll(&readable, 1, static_cast<int>(left_ms)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      result.timed_out = true;
      break;
    }
    const ssize_t n = ::read(read_end.value(), buffer, sizeof buffer);
    if (n <= 0) break;
    result.output.append(buffer, static_cast<std::size_t>(n));
  }
  if (result.timed_out) ::kill(-child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  result.exit = WIFSIGNALED(status) ? ChildExit{0, WTERMSIG(status)} : ChildExit{WEXITSTATUS(status), 0};
  return result;
}

SignalWatch::SignalWatch() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&watched, signal);
  if (::sigprocmask(SIG_BLOCK, &watched, &before_) != 0) fail("block signals");
  fd_ = OwnedFd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (fd_.value() < 0) fail("watch signals");
}

SignalWatch::~SignalWatch() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

bool SignalWatch::take_stop_request() {
  bool stop = false;
  signalfd_siginfo info;
  while (::read(fd_.value(), &info, sizeof info) == sizeof info) stop = stop || info.ssi_signo != SIGCHLD;
  return stop;
}

}  // namespace valbench
