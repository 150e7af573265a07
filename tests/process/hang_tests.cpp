// A rank that stops responding, through the real programs.
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "base/file.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// The process of one rank, once all ranks have met and are about to train; -1 when that does not come.
pid_t training_rank(const SweepSandbox& sandbox, int rank) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(3);
  const std::string variable = std::string(1, '\0') + "RANK=" + std::to_string(rank) + '\0';
  while (std::chrono::steady_clock::now() < deadline) {
    if (!fs::exists(sandbox.out() / "r00-rank0/weights/last.safetensors")) {
      sched_yield();
      continue;
    }
    for (const pid_t pid : processes_of(sandbox.out())) {
      const std::string environment = '\0' + read_file("/proc/" + std::to_string(pid) + "/environ");
      if (environment.find(variable) != std::string::npos) return pid;
    }
  }
  return -1;
}

}  // namespace

TEST_CASE("a rank that stops responding ends the run with who waits in which collective for whom") {
  const int stopped = GENERATE(0, 1);
  const SweepSandbox sandbox;
  RunningCommand command(sandbox.sweep_command({"--set", "strategies=[{name: rank0}]", "--set", "epochs=100000", "--set", "hang_timeout=3"}));
  const pid_t pid = training_rank(sandbox, stopped);
  REQUIRE(pid > 0);
  REQUIRE(::kill(pid, SIGSTOP) == 0);
  const Outcome outcome = command.finish();
  INFO("rank " << stopped << " stopped\n" << outcome.output);
  CHECK(outcome.code == 4);
  const std::string text = unwrapped(outcome.output);
  CHECK_THAT(text, Contains("rank " + std::to_string(1 - stopped) + " has waited for ") && Contains(" of group world (") &&
                       Contains("src/train/"));
  CHECK_THAT(text, Contains(stopped == 0 ? "for rank 0, whose store has not answered for" : "for rank 1, which has not been heard of for"));
  CHECK(processes_of(sandbox.out()).empty());
}
