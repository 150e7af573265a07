#include "launch/launcher.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <sstream>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "launch/rank_process.h"
#include "record/run_record.h"
#include "record/run_store.h"

namespace valbench {
namespace {

constexpr std::int64_t kGrace_ns = 5'000'000'000;  // Between SIGTERM and SIGKILL.

[[noreturn]] void fail(const char* what) {
  throw ProcessError(std::string("cannot ") + what + ": " + std::strerror(errno));
}

/// Bound here and handed down, so that no other program can take the port in between.
OwnedFd listen_on_loopback(int& port) {
  OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (fd.value() < 0 || ::bind(fd.value(), generic, size) != 0 || ::listen(fd.value(), 1024) != 0 ||
      ::getsockname(fd.value(), generic, &size) != 0) {
    fail("listen on 127.0.0.1 for the ranks");
  }
  port = ntohs(address.sin_port);
  return fd;
}

/// The ranks of one run, from start to the last exit.
class RunningRanks {
 public:
  RunningRanks(const RunSpec& spec, const std::filesystem::path& program, const RankCommand& command) : spec_(spec) {
    RankEndpoints endpoints;
    const OwnedFd listener = listen_on_loopback(endpoints.port);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("make a pipe");
    progress_ = OwnedFd(ends[0]);
    const OwnedFd progress_end(ends[1]);
    // Neither end waits for the other: a controller that is stopped (Ctrl-Z) must not stop the training through a full pipe. Lines are
    // shorter than PIPE_BUF, so that one that finds no room is lost whole.
    for (const int end : ends) ::fcntl(end, F_SETFL, O_NONBLOCK);
    endpoints.listen_fd = listener.value();
    endpoints.progress_fd = progress_end.value();
    std::vector<std::string> argv = {program.string(), command.option, (spec.folder / command.spec_file).string()};
    if (!command.closing_file.empty()) {
      argv.insert(argv.end(), {"--closing", (spec.folder / command.closing_file).string()});
    }
    for (int rank = 0; rank < spec.ranks; ++rank) {
      ranks_.push_back(std::make_unique<RankProcess>(spec, rank, argv, endpoints));
    }
  }

  bool any_running() const {
    return std::any_of(ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank->running(); });
  }

  /// Sleeps until a signal, a progress line or the end of the grace period.
  void wait(int signal_fd) {
    pollfd fds[2] = {{signal_fd, POLLIN, 0}, {progress_.value(), POLLIN, 0}};
    int timeout_ms = -1;
    if (kill_at_ns_ > 0)
      timeout_ms = static_cast<int>(std::max<std::int64_t>(0, kill_at_ns_ - now_ns()) / 1'000'000 + 1);
    if (::poll(fds, progress_.value() >= 0 ? 2 : 1, timeout_ms) < 0 && errno != EINTR) fail("wait for the ranks");
    if (kill_at_ns_ > 0 && now_ns() >= kill_at_ns_) {
      send(SIGKILL);
      kill_at_ns_ = now_ns() + kGrace_ns;
    }
  }

  void read_progress(const std::function<void(const RankProgress&)>& on_progress) {
    char buffer[4096];
    while (progress_.value() >= 0) {
      const ssize_t n = ::read(progress_.value(), buffer, sizeof buffer);
      if (n < 0) return;
      if (n == 0) return progress_.close();
      partial_.append(buffer, static_cast<std::size_t>(n));
      for (std::size_t end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n')) {
        if (const auto progress = parse_rank_progress(partial_.substr(0, end), spec_.epochs)) on_progress(*progress);
        partial_.erase(0, end + 1);
      }
    }
  }

  /// Takes exits; the first rank that failed is remembered and the others are told to stop.
  void refresh() {
    bool any_failed = false;
    for (auto& rank : ranks_) any_failed = (rank->refresh() && !rank->exit()->ok()) || any_failed;
    if (!any_failed || failed_) return;
    std::vector<RankProcess*> failed;
    for (auto& rank : ranks_) {
      // A rank whose error broke another one's connection may still be on its way out.
      const bool ended = rank->exit() && !rank->exit()->ok();
      if (ended || (rank->running() && error_time(*rank))) failed.push_back(rank.get());
    }
    failed_ = *std::min_element(failed.begin(), failed.end(), [&](auto* a, auto* b) { return failed_before(*a, *b); });
    if (kill_at_ns_ == 0) stop();  // After Ctrl-C the others have their time already.
  }

  void stop() {
    if (kill_at_ns_ > 0) {
      send(SIGKILL);
      return;
    }
    kill_at_ns_ = now_ns() + kGrace_ns;
    send(SIGTERM);
    send(SIGCONT);  // A stopped process hears of no other signal but SIGKILL.
  }

  const RankProcess* failed() const { return failed_; }

 private:
  void send(int signal) {
    for (auto& rank : ranks_) rank->send(signal);
  }

  /// When a rank wrote down why it fails; nothing when it has not.
  std::optional<std::filesystem::file_time_type> error_time(const RankProcess& rank) const {
    std::error_code none;
    const auto file = spec_.folder / ("rank-" + std::to_string(rank.rank()) + ".error.json");
    const auto time = std::filesystem::last_write_time(file, none);
    return none ? std::nullopt : std::optional(time);
  }

  /// Of ranks that failed together: a signal comes from outside and so came first; else the older error file.
  bool failed_before(const RankProcess& a, const RankProcess& b) const {
    const auto killed = [](const RankProcess& rank) { return rank.exit() && rank.exit()->signal != 0; };
    if (killed(a) != killed(b)) return killed(a);
    constexpr auto kNever = std::filesystem::file_time_type::max();
    return error_time(a).value_or(kNever) < error_time(b).value_or(kNever);
  }

  const RunSpec& spec_;
  std::vector<std::unique_ptr<RankProcess>> ranks_;
  OwnedFd progress_;
  std::string partial_;
  const RankProcess* failed_ = nullptr;
  std::int64_t kill_at_ns_ = 0;
};

void write_failure(const RunSpec& spec, const LaunchResult& result) {
  RunRecord record;
  record.status = result.status == RunStatus::interrupted ? "interrupted" : "failed";
  record.failure = result.failure;
  record.spec = spec;
  try {
    write_run_record(record, spec.folder / kFailedFile);
  } catch (const RecordError& error) {
    log_warning(error.what());  // The disk that failed the run may be full; the failure itself is still reported.
  }
}

}  // namespace

double RankProgress::fraction() const {
  constexpr double kTrainShare = 0.6;
  const double part = std::clamp(static_cast<double>(batch) / std::max(1, batches), 0.0, 1.0);
  const double in_epoch = phase == "train" ? kTrainShare * part : kTrainShare + (1 - kTrainShare) * part;
  return std::clamp((epoch + in_epoch) / std::max(1, epochs), 0.0, 1.0);
}

std::optional<RankProgress> parse_rank_progress(const std::string& line, int epochs) {
  std::istringstream in(line);
  std::string epoch_word, batch_word;
  RankProgress progress;
  progress.epochs = epochs;
  in >> epoch_word >> progress.epoch >> batch_word >> progress.batch >> progress.batches >> progress.phase;
  if (!in || epoch_word != "epoch" || batch_word != "batch") return std::nullopt;
  for (std::string pair; in >> pair;) {
    const std::size_t equals = pair.find('=');
    double value = 0;
    if (equals == std::string::npos) continue;
    const auto [end, error] = std::from_chars(pair.data() + equals + 1, pair.data() + pair.size(), value);
    if (error == std::errc()) progress.values[pair.substr(0, equals)] = value;
  }
  return progress;
}

LaunchResult launch_run(const RunSpec& spec, const std::filesystem::path& rank_program, SignalWatch& signals,
                        const std::function<void(const RankProgress&)>& on_progress, const RankCommand& command) {
  RunningRanks ranks(spec, rank_program, command);
  bool interrupted = false;
  while (ranks.any_running()) {
    ranks.wait(signals.fd());
    if (signals.take_stop_request()) {
      interrupted = true;
      ranks.stop();
    }
    ranks.read_progress(on_progress);
    ranks.refresh();
  }
  LaunchResult result;
  const auto record = spec.folder / command.result_file;
  if (interrupted) {
    result = {RunStatus::interrupted, "stopped by the user", false};
  } else if (const RankProcess* failed = ranks.failed()) {
    result = {RunStatus::failed, describe_failure(spec, failed->rank(), *failed->exit()), failed->exit()->code == 2};
  } else if (!std::filesystem::exists(record)) {
    result = {RunStatus::failed,
              "all ranks of " + spec.run_id + " exited with code 0, but " + record.string() + " is missing", false};
  }
  std::error_code ignored;
  const bool only_closing_failed = !command.closing_file.empty() && std::filesystem::exists(record, ignored);
  if (result.status != RunStatus::complete && !only_closing_failed) {
    std::filesystem::remove(record, ignored);  // Rank 0 may have written it before another rank failed.
    if (command.failure_record) write_failure(spec, result);
  }
  return result;
}

}  // namespace valbench
