// Trainings whose ranks torchrun, mpirun and srun start: the weights are those of the controller's own ranks, bit for
// bit.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"
#include "tests/support/programs.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

constexpr double kLimit_s = 400;
constexpr int kSkipped = 77;  // Of the scripts, as in automake.

/// One strategy, so that a sweep is one run.
std::string one_run() {
  return kTinyScenario.substr(0, kTinyScenario.find("baseline")) +
         "baseline: sharded\nstrategies:\n  - {name: sharded, placement: sharded}\n";
}

std::string test_script(const std::string& name) {
  return std::string(std::getenv("VALBENCH_SOURCE")) + "/tests/process/" + name;
}

/// The path of a program; empty when there is none.
std::string program(const std::string& name) {
  std::istringstream folders(std::string(std::getenv("PATH")));
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  }
  return {};
}

/// torchrun of `./valbench setup --peers`; empty without.
std::string torchrun() {
  const char* peers = std::getenv("VALBENCH_PEERS");
  const std::string path = peers != nullptr ? std::string(peers) + "/bin/torchrun" : "";
  return ::access(path.c_str(), X_OK) == 0 ? path : "";
}

/// A scenario with one run: made by the controller in `out`, and written for another launcher in `other`.
class OneRun {
 public:
  OneRun() {
    const Outcome own = sandbox_.sweep();
    INFO(own.output);
    REQUIRE(own.code == 0);
    const Outcome plan = sandbox_.valbench({"plan", "scenario.yaml", "--out", "other", "--write", "--hosts", "2"});
    INFO(plan.output);
    REQUIRE(plan.code == 0);
    CHECK_THAT(unwrapped(plan.output), Contains("1 of 1 runs are to be made"));
    const std::string list = read_file(path() / "other" / "runs.txt");
    CHECK(list == spec() + "\n");
  }

  fs::path path() const { return sandbox_.path(); }
  std::string spec() const { return (path() / "other" / "r00-sharded" / "spec.json").string(); }
  std::string rank_command() const { return built("src/main/valbench-rank").string() + " --spec " + spec(); }

  /// Runs a launcher in the sandbox's folder, with variables as NAME=value.
  CapturedRun launch(std::vector<std::string> argv, const std::vector<std::string>& environment = {}) const {
    std::vector<std::string> front = {"/usr/bin/env", "-C", path().string()};
    front.insert(front.end(), environment.begin(), environment.end());
    argv.insert(argv.begin(), front.begin(), front.end());
    return run_captured(argv, kLimit_s);
  }

  /// The run is there, equal to the controller's, and `report` and a new plan find it.
  void check_equal_to_the_controllers() const {
    const RunRecord own = sandbox_.record("r00-sharded");
    const RunRecord other = read_run_record(path() / "other" / "r00-sharded" / "run.json");
    CHECK(other.status == "complete");
    CHECK(other.invalid_reasons.empty());
    REQUIRE_FALSE(own.train_checksums.empty());
    CHECK(other.train_checksums == own.train_checksums);
    CHECK(other.exactness.exact == "true");
    REQUIRE(other.validations.size() == own.validations.size());
    for (std::size_t i = 0; i < own.validations.size(); ++i) {
      CHECK(other.validations[i].weights_checksum == own.validations[i].weights_checksum);
      CHECK(other.validations[i].map50_95 == own.validations[i].map50_95);
    }
    const Outcome report = sandbox_.valbench({"report", "scenario.yaml", "--out", "other", "--hosts", "2"});
    INFO(report.output);
    CHECK(report.code == 0);
    CHECK_THAT(report.output, Contains("sharded"));
    CHECK(sandbox_.valbench({"plan", "scenario.yaml", "--out", "other", "--write", "--hosts", "2"}).code == 0);
    CHECK(read_file(path() / "other" / "runs.txt").empty());
    CHECK(fs::exists(path() / "other" / "r00-sharded" / "run.json"));
  }

 private:
  SweepSandbox sandbox_{one_run()};
};

/// What one rank started by hand says, with these variables.
CapturedRun start_rank(const OneRun& run, const std::vector<std::string>& environment) {
  return run.launch({built("src/main/valbench-rank").string(), "--spec", run.spec()}, environment);
}

}  // namespace

TEST_CASE("ranks started by torchrun on one host train what the controller's ranks train") {
  if (torchrun().empty()) VB_SKIP("needs torchrun of ./valbench setup --peers");
  const OneRun run;
  const CapturedRun launched = run.launch({torchrun(), "--no-python", "--standalone", "--nproc-per-node", "2",
                                           built("src/main/valbench-rank").string(), "--spec", run.spec()});
  INFO(launched.output);
  REQUIRE(launched.exit.ok());
  CHECK_THAT(launched.output, !Contains("failed to bind"));  // The agent has the port already.
  run.check_equal_to_the_controllers();
}

TEST_CASE("ranks started by torchrun on two hosts train what the controller's ranks train") {
  if (torchrun().empty()) VB_SKIP("needs torchrun of ./valbench setup --peers");
  const OneRun run;
  const std::string command =
      torchrun() + " --no-python --nnodes 2 --nproc-per-node 1 --master-addr host-a --master-port 29511 --node-rank ";
  const CapturedRun launched = run.launch({test_script("two_hosts.sh"), run.path().string(),
                                           command + "0 " + run.rank_command(), command + "1 " + run.rank_command()});
  if (launched.exit.code == kSkipped) VB_SKIP(launched.output);
  INFO(launched.output);
  INFO("first host: " << read_file(run.path() / "host-0.log"));
  INFO("second host: " << read_file(run.path() / "host-1.log"));
  REQUIRE(launched.exit.ok());
  run.check_equal_to_the_controllers();
}

TEST_CASE("ranks started by mpirun train what the controller's ranks train") {
  const std::string mpirun = program("mpirun");
  if (mpirun.empty()) VB_SKIP("needs mpirun (Debian: openmpi-bin)");
  const OneRun run;
  // It refuses root and more ranks than cores unless told otherwise.
  const CapturedRun launched = run.launch(
      {mpirun, "-np", "2", built("src/main/valbench-rank").string(), "--spec", run.spec()},
      {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_rmaps_base_oversubscribe=1"});
  INFO(launched.output);
  REQUIRE(launched.exit.ok());
  run.check_equal_to_the_controllers();
}

TEST_CASE("ranks started by srun train what the controller's ranks train") {
  const OneRun run;
  const CapturedRun launched =
      run.launch({test_script("slurm_machine.sh"), (run.path() / "slurm").string(), "srun", "--ntasks", "2",
                  built("src/main/valbench-rank").string(), "--spec", run.spec()});
  if (launched.exit.code == kSkipped) VB_SKIP(launched.output);
  INFO(launched.output);
  REQUIRE(launched.exit.ok());
  run.check_equal_to_the_controllers();
}

TEST_CASE("the batch script for Slurm makes every run of a scenario, compares them, and goes on where it was stopped") {
  const SweepSandbox sandbox;
  REQUIRE(sandbox.sweep().code == 0);
  const fs::path out = sandbox.path() / "other",
                 script = fs::path(std::getenv("VALBENCH_SOURCE")) / "scenarios/slurm/sweep.sbatch";
  const std::string job =
      "sbatch --wait --ntasks-per-node 2 --output job.txt " + script.string() + " scenario.yaml " + out.string();
  // The second job finds one run complete and the other one gone.
  const std::string jobs = job + " && rm -r " + (out / "r00-rank0").string() + " && " + job;
  const CapturedRun done =
      run_captured({"/usr/bin/env", "-C", sandbox.path().string(),
                    "VALBENCH_BIN=" + built("src/main/valbench").parent_path().string(),
                    test_script("slurm_machine.sh"), (sandbox.path() / "slurm").string(), "bash", "-c", jobs},
                   kLimit_s);
  if (done.exit.code == kSkipped) VB_SKIP(done.output);
  const std::string said = fs::exists(sandbox.path() / "job.txt") ? read_file(sandbox.path() / "job.txt") : "nothing";
  INFO(done.output << said);
  REQUIRE(done.exit.ok());
  CHECK_THAT(unwrapped(said), Contains("2 of 2 runs are to be made") && Contains("1 of 2 runs are to be made"));
  CHECK(occurrences(said, "Exact: every strategy") == 2);
  for (const std::string run : {"r00-rank0", "r00-sharded"}) {
    INFO(run);
    CHECK(read_run_record(out / run / "run.json").train_checksums == sandbox.record(run).train_checksums);
    CHECK(fs::exists(out / run / "rank-1.log"));
  }
}

TEST_CASE("an environment that does not fit the run is refused in one sentence before training starts") {
  const OneRun run;
  const auto refused = [&](const std::vector<std::string>& environment, const std::string& reason) {
    const CapturedRun rank = start_rank(run, environment);
    INFO(rank.output);
    CHECK(rank.exit.code == 2);
    CHECK_THAT(rank.output, Contains(reason));
    CHECK(occurrences(rank.output, "\n") == 1);
  };
  refused({"RANK=0", "WORLD_SIZE=3", "MASTER_ADDR=127.0.0.1"}, "the spec asks for 2 ranks but 3 were started");
  refused({"RANK=2", "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1"}, "rank 2 is outside a world of 2 ranks");
  refused({"RANK=0", "WORLD_SIZE=2"}, "MASTER_ADDR is not set");
  refused({"WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1"}, "RANK is not set");
  refused({"RANK=0", "WORLD_SIZE=2", "MASTER_ADDR=no_such_host.invalid"},
          "MASTER_ADDR=no_such_host.invalid cannot be resolved");
  refused({"RANK=0", "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1", "MASTER_PORT=0"}, "MASTER_PORT=0 is no port");
  refused({}, "the spec asks for 2 ranks but 1 were started");
  CHECK_FALSE(fs::exists(fs::path(run.spec()).parent_path() / "run.json"));
}
