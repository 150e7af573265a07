// The collective checker on real Gloo ranks: each is a child of this process, which itself never starts a thread.
#include <ATen/ATen.h>
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "comm/collective_error.h"
#include "comm/collective_watch.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;

namespace {

constexpr int kReported = 4, kDone = 0;
constexpr unsigned kDeadline_s = 180;  // A rank that is still there then is ended, and the test fails.

/// What one rank does with the watched communicator.
using Job = std::function<void(Communicator&, Tracer&)>;

class Ranks {
 public:
  /// \param agent_keys what lies in the store of an agent that starts these ranks for the second time; empty: there is none.
  Ranks(int count, double hang_timeout_s, const Job& job, const std::map<std::string, std::string>& agent_keys = {}) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* name = reinterpret_cast<sockaddr*>(&address);
    if (bind(fd, name, size) != 0 || listen(fd, 64) != 0 || getsockname(fd, name, &size) != 0) throw Error("cannot listen on loopback");
    if (!agent_keys.empty()) start_agent(fd, ntohs(address.sin_port), agent_keys);
    for (int rank = 0; rank < count; ++rank) {
      const pid_t pid = fork();
      if (pid < 0) throw Error("cannot start a rank");
      if (pid == 0) {
        alarm(kDeadline_s);
        if (agent_ > 0) setenv("TORCHELASTIC_USE_AGENT_STORE", "True", 1), setenv("TORCHELASTIC_RESTART_COUNT", "1", 1);
        const int listen_fd = rank == 0 && agent_ < 0 ? fd : -1;
        run({.rank = rank, .world_size = count, .port = ntohs(address.sin_port), .listen_fd = listen_fd}, hang_timeout_s, job);
      }
      pids_.push_back(pid);
    }
    close(fd);
  }
  ~Ranks() {
    for (const pid_t pid : pids_) kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
    if (agent_ > 0) kill(agent_, SIGKILL), waitpid(agent_, nullptr, 0);
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  /// The exit code of a rank, once it has ended; -1 after a signal.
  int code(int rank) {
    int status = 0;
    pid_t& pid = pids_.at(static_cast<std::size_t>(rank));
    waitpid(pid, &status, 0);
    std::swap(pid, pids_.back());
    pids_.pop_back();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// What a rank reported.
  std::string report(int rank) const {
    const auto file = file_of(rank);
    return std::filesystem::exists(file) ? read_file(file) : std::string();
  }

 private:
  std::filesystem::path file_of(int rank) const { return folder_.path() / ("rank-" + std::to_string(rank)); }

  /// A process with the store and `keys` in it, as torchrun's agent has it when it starts its ranks anew.
  void start_agent(int fd, std::uint16_t port, const std::map<std::string, std::string>& keys) {
    int ready[2];
    if (pipe(ready) != 0) throw Error("no pipe");
    agent_ = fork();
    if (agent_ < 0) throw Error("cannot start the agent");
    if (agent_ == 0) {
      alarm(kDeadline_s);
      c10d::TCPStoreOptions options;
      options.port = port, options.isServer = true, options.waitWorkers = false, options.masterListenFd = fd;
      c10d::TCPStore store("127.0.0.1", options);
      for (const auto& [key, value] : keys) store.set(key, std::vector<std::uint8_t>(value.begin(), value.end()));
      if (write(ready[1], "r", 1) != 1) _exit(1);
      while (true) pause();
    }
    close(ready[1]);
    char said = 0;
    if (read(ready[0], &said, 1) != 1) throw Error("the agent has not opened its store");
    close(ready[0]);
  }

  [[noreturn]] void run(const Rendezvous& rendezvous, double hang_timeout_s, const Job& job) const {
    const auto end_with = [&](const std::string& what) {
      write_atomically(file_of(rendezvous.rank), what);
      _exit(kReported);
    };
    try {
      auto communicator = make_c10d_communicator(rendezvous, at::kCPU);
      CollectiveWatch watch(rendezvous, hang_timeout_s, end_with);
      communicator = watch.watched(std::move(communicator));
      Tracer tracer;
      tracer.add_listener(watch.spans());
      Tracer beside;
      beside.add_listener(watch.spans_beside());
      tracer.set_beside(&beside);
      try {
        job(*communicator, tracer);
      } catch (const CollectiveError& error) {
        end_with(watch.verdict() + ". So " + error.what());
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rank %d: %s\n", rendezvous.rank, error.what());
      _exit(1);
    }
    _exit(kDone);
  }

  ScratchFolder folder_;
  std::vector<pid_t> pids_;
  pid_t agent_ = -1;
};

void begin(Communicator& communicator, Tracer& tracer) {
  tracer.set_epoch(0);
  communicator.barrier();
}

}  // namespace

TEST_CASE("ranks whose collectives match are left alone") {
  Ranks ranks(3, 30, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    for (int i = 0; i < 200; ++i) communicator.all_reduce_sum(at::ones({1000}))->wait();
    communicator.barrier();
  });
  for (int rank = 2; rank >= 0; --rank) {
    CHECK(ranks.code(rank) == kDone);
    CHECK(ranks.report(rank).empty());
  }
}

TEST_CASE("a rank that skips a collective is named with what it did instead, long before any time-out") {
  Ranks ranks(3, 3600, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    if (communicator.rank() != 1) communicator.broadcast(at::zeros({1000}), 0);
    communicator.barrier();
    communicator.barrier();
  });
  CHECK(ranks.code(0) == kReported);
  const std::string report = ranks.report(0);
  INFO(report);
  CHECK_THAT(report, Contains("the ranks issued different collectives"));
  CHECK_THAT(report, Contains("broadcast number 2 of group world (4000 bytes of Float, root 0, tests/process/collective_watch_tests.cpp:"));
  CHECK_THAT(report, Contains("rank 1 barrier number 2 of group world (tests/process/collective_watch_tests.cpp:"));
}

TEST_CASE("a collective of another size is a mismatch, whatever the communication library makes of it") {
  Ranks ranks(2, 3600, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    communicator.broadcast(at::zeros({communicator.rank() == 0 ? 2000 : 1000}), 0);
    communicator.barrier();
    communicator.barrier();
  });
  CHECK(ranks.code(1) == kReported);
  INFO(ranks.report(1));
  CHECK_THAT(ranks.report(1), Contains("the ranks issued different collectives"));
  CHECK(ranks.code(0) == kReported);
  const std::string report = ranks.report(0);
  INFO(report);
  CHECK_THAT(report, Contains("rank 0 broadcast number 2 of group world (8000 bytes of Float, root 0") &&
                         Contains("but rank 1 broadcast number 2 of group world (4000 bytes of Float, root 0"));
}

TEST_CASE("a stopped rank is named by rank 0 with who waits for it, in which collective") {
  Ranks ranks(3, 2, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    const ScopedSpan span(tracer, Phase::train_forward);
    if (communicator.rank() == 1) raise(SIGSTOP);
    communicator.all_reduce_sum(at::ones({10}))->wait();
  });
  CHECK(ranks.code(0) == kReported);
  const std::string report = ranks.report(0);
  INFO(report);
  CHECK_THAT(report, Contains("rank 0 has waited for") && Contains("all_reduce number 2 of group world (40 bytes of Float, tests/process/"));
  CHECK_THAT(report, Contains("for rank 1, which has not been heard of for") && Contains("its process is stopped"));
}

TEST_CASE("a rank that stands still without being stopped is named with its phase") {
  Ranks ranks(2, 2, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    const ScopedSpan span(tracer, Phase::checkpoint_save);
    if (communicator.rank() == 1) pause();
    communicator.barrier();
  });
  CHECK(ranks.code(0) == kReported);
  INFO(ranks.report(0));
  CHECK_THAT(ranks.report(0), Contains("rank 0 has waited for") && Contains("for rank 1, which has made no progress for") &&
                                  Contains("in phase checkpoint.save; its last was barrier number 1"));
}

TEST_CASE("a rank that waits for a thread of its own is no hang while that thread validates") {
  constexpr double kHangTimeout_s = 1;
  Ranks ranks(2, kHangTimeout_s, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    if (communicator.rank() == 0) {
      const ScopedSpan span(tracer, Phase::val_wait);
      std::thread beside([&] {
        const std::int64_t begin_ns = now_ns();
        while (seconds_between(begin_ns, now_ns()) < 4 * kHangTimeout_s) const ScopedSpan batch(*tracer.beside(), Phase::val_batch);
      });
      beside.join();
    }
    communicator.barrier();
  });
  CHECK(ranks.code(1) == kDone);
  CHECK(ranks.code(0) == kDone);
  CHECK(ranks.report(0).empty());
}

TEST_CASE("when rank 0 is stopped, and the store with it, another rank says so") {
  Ranks ranks(2, 2, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    if (communicator.rank() == 0) raise(SIGSTOP);
    communicator.barrier();
  });
  CHECK(ranks.code(1) == kReported);
  INFO(ranks.report(1));
  CHECK_THAT(ranks.report(1), Contains("rank 1 has waited for") && Contains("barrier number 2 of group world (tests/process/") &&
                                  Contains("for rank 0, whose store has not answered for"));
}

TEST_CASE("when rank 0 is stopped while another rank waits for its device, in no collective, that rank says so") {
  Ranks ranks(2, 2, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    if (communicator.rank() == 0) raise(SIGSTOP);
    for (;;) pause();
  });
  CHECK(ranks.code(1) == kReported);
  INFO(ranks.report(1));
  CHECK_THAT(ranks.report(1), Contains("rank 1 has made no progress for") && Contains("and neither has rank 0, whose store has not answered for"));
}

TEST_CASE("collectives of a group are checked under its name, by the ranks of the world") {
  Ranks ranks(3, 3600, [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    if (communicator.rank() == 0) return communicator.barrier();
    Communicator& pair = communicator.make_group("pair", {1, 2});
    if (communicator.rank() == 2) pair.barrier();
    pair.broadcast(at::zeros({2}), 1);
    communicator.barrier();
  });
  CHECK(ranks.code(0) == kReported);
  INFO(ranks.report(0));
  CHECK_THAT(ranks.report(0), Contains("rank 1 broadcast number 1 of group pair (8 bytes of Float, root 2, tests/process/") &&
                                  Contains("but rank 2 barrier number 1 of group pair"));
}

TEST_CASE("ranks that torchrun's agent has started anew do not believe what the last attempt left in its store") {
  const auto fail = [](Communicator& communicator, Tracer& tracer) {
    begin(communicator, tracer);
    if (communicator.rank() == 0) _exit(kDone);
    communicator.barrier();
  };
  Ranks ranks(2, 2, fail, {{"watch/verdict", "what the last attempt died of"}, {"attempt/0/watch/verdict", "what the last attempt died of"}});
  CHECK(ranks.code(1) == kReported);
  INFO(ranks.report(1));
  CHECK_THAT(ranks.report(1), Contains("barrier number 2 of group world") && !Contains("last attempt"));
}
