#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/subprocess.h"
#include "launch/launcher.h"
#include "launch/rank_environment.h"
#include "launch/rank_process.h"
#include "launch/sweep_folder.h"
#include "record/run_record.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

/// A sweep folder with one prepared run of two ranks; gone at the end.
struct FakeRun {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("valbench_launch_" + std::to_string(::getpid()));
  std::filesystem::path program = std::filesystem::path(std::getenv("VALBENCH_SOURCE")) / "tests/process/fake_rank.sh";
  RunSpec spec;
  SignalWatch signals;
  std::vector<RankProgress> seen;

  explicit FakeRun(const char* behaviour) {
    std::filesystem::remove_all(folder);
    ::setenv("FAKE_RANK", behaviour, 1);
    spec.run_id = "r00-sharded", spec.ranks = 2, spec.torch_threads = 3, spec.folder = folder / "r00-sharded";
    SweepFolder::prepare(spec);
  }
  ~FakeRun() { std::filesystem::remove_all(folder); }
  LaunchResult launch() {
    return launch_run(spec, program, signals, [this](const RankProgress& p) { seen.push_back(p); });
  }
};

}  // namespace

TEST_CASE("a run whose ranks all exit with 0 and that wrote run.json is complete") {
  FakeRun run("complete");
  CHECK(run.launch().status == RunStatus::complete);
  REQUIRE(run.seen.size() == 1);
  CHECK(run.seen[0].batches == 2);
  CHECK_THAT(read_file(run.spec.folder / "rank-1.log"), Contains("rank 1 of 2, 3 threads"));
  CHECK(SweepFolder::complete(run.spec));
  run.spec.seed = 1;
  CHECK_FALSE(SweepFolder::complete(run.spec));
}

TEST_CASE("a rank that dies stops the others and is reported with its last lines") {
  FakeRun run("rank1_dies");
  const LaunchResult result = run.launch();
  CHECK(result.status == RunStatus::failed);
  CHECK_THAT(result.failure, Contains("rank 1 of r00-sharded exited with code 4: no space left on device") &&
                                 Contains("the last words of rank 1"));
  CHECK_FALSE(result.bad_input);
  const RunRecord record = read_run_record(run.spec.folder / "failed.json");
  CHECK(record.status == "failed");
  CHECK_THAT(record.failure, Contains("rank 1"));
  CHECK_FALSE(SweepFolder::complete(run.spec));
}

TEST_CASE("a rank that is killed is reported with its signal") {
  FakeRun run("killed");
  CHECK_THAT(run.launch().failure,
             Contains("rank 1 of r00-sharded was ended by signal 9") && Contains("memory (batch size 16)"));
}

TEST_CASE("a rank that refuses its input makes the run fail as bad input") {
  FakeRun run("bad_input");
  const LaunchResult result = run.launch();
  CHECK(result.bad_input);
  CHECK_THAT(result.failure, Contains("weights do not fit"));
}

TEST_CASE("ranks that exit with 0 without a record have failed") {
  FakeRun run("no_record");
  CHECK_THAT(run.launch().failure, Contains("run.json is missing"));
}

TEST_CASE("Ctrl-C stops all ranks, and the run is interrupted") {
  FakeRun run("hang_until_told");
  const LaunchResult result =
      launch_run(run.spec, run.program, run.signals, [](const RankProgress&) { ::raise(SIGINT); });
  CHECK(result.status == RunStatus::interrupted);
  CHECK(read_run_record(run.spec.folder / "failed.json").status == "interrupted");
}

TEST_CASE("a program that is not there is an error that names it") {
  FakeRun run("complete");
  run.program = "/nonexistent/valbench-rank";
  CHECK_THROWS_WITH(run.launch(), Contains("/nonexistent/valbench-rank: No such file"));
}

TEST_CASE("a full disk while a run is prepared is an error that names the file") {
  FakeRun run("complete");
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{16, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);
  std::string message;
  try {
    SweepFolder::prepare(run.spec);
  } catch (const RecordError& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  CHECK_THAT(message, Contains("cannot write") && Contains("spec.json"));
}

TEST_CASE("a sweep folder is held by one sweep, and complete runs are not overwritten") {
  FakeRun run("complete");
  {
    const SweepFolder held(run.folder, false);
    CHECK_THROWS_WITH(SweepFolder(run.folder, false), Contains("another sweep is writing"));
  }
  write_atomically(run.spec.folder / "run.json", "{}");
  CHECK_THROWS_WITH(check_sweep_folder(run.folder, false), Contains("--resume") && Contains("--out"));
  CHECK_NOTHROW(check_sweep_folder(run.folder, true));
  CHECK_THROWS_WITH(check_sweep_folder(run.spec.folder / "run.json" / "below", false), Contains("not writable"));
}

TEST_CASE("ranks that share a GPU get a host name each for NCCL") {
  RunSpec spec;
  spec.ranks = 2, spec.device = DeviceKind::cuda, spec.device_ids = {0, 0};
  const auto shared = rank_environment(spec, 1, {});
  CHECK(std::count(shared.begin(), shared.end(),
                   std::pair<std::string, std::string>{"NCCL_HOSTID", "valbench-rank-1"}) == 1);
  spec.device_ids = {0, 1};
  for (const auto& [name, value] : rank_environment(spec, 1, {})) CHECK(name != "NCCL_HOSTID");
}
