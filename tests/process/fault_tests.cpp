// A rank that is killed, stopped, out of memory, without a batch, or slow, in every phase of a run, through the real programs. The faults
// come from an NVTX tool (fault_tool.cpp), so that they meet the phase that is meant.
//
//                    killed   no memory   stopped   a batch that cannot be read
//   load             0 1                  0 1                                      before the ranks have met
//   start            0 1      1           0 1                                      after that, before the first epoch
//   train.forward    0 1      1           0 1
//   train.data                                      any
//   val.broadcast    0 1      1           0 1                                      the snapshot
//   val.forward      0 1      1           0 1
//   val.data                                        any
//   val.gather       0 1      1           0 1
//   checkpoint.save  0        0           0                                        rank 0 alone writes
//
// All of these with placement sharded, which has all phases; a rank killed, stopped or without memory while it validates under the others.
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/file.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"
#include "tests/support/programs.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

constexpr double kHangTimeout_s = 5;
constexpr double kAfterExit_s = 10, kAfterStop_s = kHangTimeout_s + 10;  // Issue 5: when all others have to have stopped.

/// What happens to a rank of one run.
struct Fault {
  std::string strategy, phase, kind;
  int rank = 0, epoch = 1;
  std::string keys = "placement: sharded";  ///< Of the strategy.

  std::string run() const {
    std::string name = strategy;
    std::replace(name.begin(), name.end(), ' ', '-');
    return "r00-" + name;
  }
  fs::path folder(const SweepSandbox& sandbox) const { return sandbox.out() / run(); }
  std::string place() const {
    if (phase == "load") return "";
    return phase == "start" ? "before the first epoch" : "in epoch " + std::to_string(epoch) + ", phase " + phase;
  }
};

/// One fault of this kind in each phase, each in a run of its own. Checkpoints are rank 0's work.
std::vector<Fault> faults_in(const std::vector<std::string>& phases, const std::string& kind, int rank) {
  std::vector<Fault> all;
  for (const std::string& phase : phases) {
    std::string strategy = phase;
    std::replace(strategy.begin(), strategy.end(), '.', '-');
    Fault fault{strategy, phase, kind, phase == "checkpoint.save" ? 0 : rank};
    // Later epochs receive into the memory of the first.
    if (kind == "memory" && phase == "val.broadcast") fault.epoch = 0;
    all.push_back(fault);
  }
  return all;
}

std::string scenario_for(const std::vector<Fault>& faults) {
  std::string text = "name: faults\ndata: set/data.yaml\nimgsz: 64\nepochs: 2\nbatch_size: 4\nranks: 2\ndevice: cpu\nthreads: 1\n"
                     "rounds: 1\ncache: none\nhang_timeout: 5\nvalidation: {batch_size: 2, cache: none}\nbaseline: " +
                     faults.front().strategy + "\nstrategies:\n";
  for (const Fault& fault : faults) text += "  - {name: " + fault.strategy + ", " + fault.keys + "}\n";
  return text;
}

/// A sweep of one run for each fault; the runs come in another order.
class FaultySweep {
 public:
  explicit FaultySweep(std::vector<Fault> faults) : faults_(std::move(faults)), sandbox_(scenario_for(faults_)) {
    sandbox_.make_data("set");
    std::string lines;
    for (const Fault& f : faults_) {
      lines += f.run() + " " + std::to_string(f.rank) + " " + std::to_string(f.epoch) + " " + f.phase + " " + f.kind + "\n";
    }
    const fs::path list = sandbox_.folder().write("faults.txt", lines);
    const std::string tool = built("tests/process/libfault_tool.so").string();
    outcome_ = sandbox_.sweep({}, {"VALBENCH_FAULTS=" + list.string(), "NVTX_INJECTION64_PATH=" + tool, "LD_PRELOAD=" + tool});
  }

  const std::vector<Fault>& faults() const { return faults_; }
  const SweepSandbox& sandbox() const { return sandbox_; }
  const Outcome& outcome() const { return outcome_; }
  std::string failure(const Fault& fault) const {
    return unwrapped(read_run_record(fault.folder(sandbox_) / "failed.json").failure);
  }

  /// The run failed within `limit_s` of its fault, and left what was done before: the checkpoint of the epoch before.
  void check_stopped(const Fault& fault, double limit_s) const {
    REQUIRE(fs::exists(fault.folder(sandbox_) / "failed.json"));
    REQUIRE(fs::exists(fault.folder(sandbox_) / "fault"));
    const double seconds = changed(fault.folder(sandbox_) / "failed.json") - changed(fault.folder(sandbox_) / "fault");
    std::printf("%-16s %-7s rank %d: all ranks had ended after %.1f s, limit %.0f s\n", fault.phase.c_str(), fault.kind.c_str(), fault.rank,
                seconds, limit_s);
    CHECK(seconds <= limit_s);
    CHECK_FALSE(fs::exists(fault.folder(sandbox_) / "run.json"));
    if (fault.phase == "load" || fault.phase == "start" || fault.epoch == 0) return;
    const CapturedRun told = run_captured({built("src/main/valbench-rank").string(), "--checkpoint",
                                           (fault.folder(sandbox_) / "weights/last.safetensors").string()}, 60);
    INFO(told.output.substr(0, 300));
    CHECK(told.exit.ok());
    const int kept = nlohmann::json::parse(told.output).at("epoch");
    // Late validations and those after training fail when the last epoch is finished.
    CHECK(kept >= fault.epoch - 1);
    if (fault.keys == "placement: sharded") CHECK(kept == fault.epoch - 1);
  }

  void check_ended() const {
    CHECK(outcome_.code == 4);
    CHECK_THAT(outcome_.output, Contains("--resume"));
    CHECK(processes_of(sandbox_.out()).empty());
  }

  void check_goes_on() const {
    check_ended();
    check_resumes();
  }

  void check_resumes() const {
    const Outcome resumed = sandbox_.sweep({"--resume"});
    INFO(resumed.output);
    CHECK(resumed.code == 0);
    for (const Fault& fault : faults_) {
      CHECK(sandbox_.record(fault.run()).exactness.exact == "true");
      CHECK_FALSE(fs::exists(fault.folder(sandbox_) / "rank-0.phase"));
    }
  }

 private:
  static double changed(const fs::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return 0;
    return static_cast<double>(status.st_mtim.tv_sec) + static_cast<double>(status.st_mtim.tv_nsec) * 1e-9;
  }

  std::vector<Fault> faults_;
  SweepSandbox sandbox_;
  Outcome outcome_;
};

const std::vector<std::string> kPhases = {"load", "start", "train.forward", "val.broadcast", "val.forward", "val.gather", "checkpoint.save"};

bool built_with_tool() { return !built("tests/process/libfault_tool.so").empty(); }

}  // namespace

TEST_CASE("a rank that is killed, in whichever phase, stops the others within 10 s and is named with its phase; the sweep goes on") {
  if (!built_with_tool()) VB_SKIP("libfault_tool.so is not built");
  const int rank = GENERATE(0, 1);
  const FaultySweep sweep(faults_in(kPhases, "kill", rank));
  INFO(sweep.outcome().output);
  for (const Fault& fault : sweep.faults()) {
    INFO(fault.phase);
    sweep.check_stopped(fault, kAfterExit_s);
    const std::string place = fault.place().empty() ? "" : " " + fault.place();
    CHECK_THAT(sweep.failure(fault), Contains("rank " + std::to_string(fault.rank) + " of " + fault.run() + " was ended by signal 9 (Killed)" +
                                              place + ", perhaps for lack of memory"));
  }
  if (rank == 0) return sweep.check_ended();  // Which rank it was makes no difference to what comes afterwards.
  sweep.check_goes_on();
}

TEST_CASE("a rank without memory, in whichever phase, says so with its phase and stops the others within 10 s; the sweep goes on") {
  if (!built_with_tool()) VB_SKIP("libfault_tool.so is not built");
  const FaultySweep sweep(faults_in({kPhases.begin() + 1, kPhases.end()}, "memory", 1));
  INFO(sweep.outcome().output);
  for (const Fault& fault : sweep.faults()) {
    INFO(fault.phase);
    sweep.check_stopped(fault, kAfterExit_s);
    CHECK_THAT(sweep.failure(fault), Contains("rank " + std::to_string(fault.rank) + " of " + fault.run() + " exited with code 4 " +
                                              fault.place() + ": out of memory with batch_size 4 on 2 ranks"));
  }
  sweep.check_goes_on();
}

namespace {

void check_stopped_rank_is_named(const FaultySweep& sweep) {
  INFO(sweep.outcome().output);
  for (const Fault& fault : sweep.faults()) {
    INFO(fault.phase);
    sweep.check_stopped(fault, kAfterStop_s);
    const std::string rank = "rank " + std::to_string(fault.rank), failure = sweep.failure(fault);
    if (fault.phase == "load") {
      CHECK_THAT(failure, Contains(fault.rank == 0 ? "rank 0 does not answer" : "rank 1 of 2 did not come to 127.0.0.1:"));
    } else {
      CHECK_THAT(failure, Contains("has waited for") && Contains("for " + rank + ", ") && Contains("its process is stopped") &&
                              Contains("the others then: " + rank + " " + fault.place() + " last lines of"));
    }
  }
}

}  // namespace

TEST_CASE("a rank that is stopped, in whichever phase, is named with its phase by those who wait; all end within hang_timeout + 10 s") {
  if (!built_with_tool()) VB_SKIP("libfault_tool.so is not built");
  // At once: they do nothing but wait.
  std::optional<FaultySweep> of_rank0, of_rank1;
  std::thread beside([&] { of_rank0.emplace(faults_in(kPhases, "stop", 0)); });
  of_rank1.emplace(faults_in({kPhases.begin(), kPhases.end() - 1}, "stop", 1));
  beside.join();
  check_stopped_rank_is_named(*of_rank0);
  check_stopped_rank_is_named(*of_rank1);
  of_rank0->check_goes_on();
  of_rank1->check_ended();
}

TEST_CASE("an image that can be read no more ends the run with its name, the rank and the phase, and stops the others within 10 s") {
  if (!built_with_tool()) VB_SKIP("libfault_tool.so is not built");
  const std::string split = GENERATE("train", "val");
  const FaultySweep sweep({{"batch", "train.epoch", split, 1}});
  INFO(sweep.outcome().output);
  const Fault& fault = sweep.faults().front();
  sweep.check_stopped(fault, kAfterExit_s);
  CHECK(sweep.outcome().code == 2);
  CHECK_THAT(sweep.failure(fault), Contains("of r00-batch exited with code 2 in epoch 1, phase " + split + ".data: ") &&
                                       Contains("/set/images/" + split + "/") && Contains("cannot be decoded: the file is empty"));
  sweep.sandbox().make_data("set");  // The images are whole again.
  sweep.check_resumes();
}

TEST_CASE("under every placement a rank that fails while it validates is named with its phase, and the sweep goes on") {
  if (!built_with_tool()) VB_SKIP("libfault_tool.so is not built");
  // A rank that only validates has no training epochs: the first snapshot is meant.
  const std::string dedicated = "placement: dedicated", beside = "placement: overlapped, overlap: sharded";
  const FaultySweep sweep({{"rank0", "val.forward", "kill", 0, 1, "placement: rank0"},
                           {"overlapped", "val.forward", "kill", 0, 1, "placement: overlapped"},
                           {"overlapped memory", "val.forward", "memory", 0, 1, "placement: overlapped"},
                           {"overlapped stop", "val.forward", "stop", 0, 1, "placement: overlapped"},
                           {"beside", "val.forward", "kill", 1, 1, beside},
                           {"beside memory", "val.forward", "memory", 1, 1, beside},
                           {"beside stop", "val.gather", "stop", 1, 1, beside},
                           {"background", "val.metrics", "kill", 0, 1, "placement: sharded, score: background"},
                           {"deferred", "val.forward", "kill", 1, 1, "placement: deferred"},
                           {"dedicated", "val.forward", "kill", 1, 0, dedicated},
                           {"dedicated memory", "val.forward", "memory", 1, 0, dedicated},
                           {"dedicated stop", "val.forward", "stop", 1, 0, dedicated},
                           {"dedicated stop receiving", "val.broadcast", "stop", 1, 0, dedicated}});
  INFO(sweep.outcome().output);
  for (const Fault& fault : sweep.faults()) {
    INFO(fault.strategy);
    sweep.check_stopped(fault, fault.kind == "stop" ? kAfterStop_s : kAfterExit_s);
    const std::string failure = sweep.failure(fault), rank = "rank " + std::to_string(fault.rank);
    // A part that fails is told to the other ranks first, so that the validation is what it is in when it ends.
    CHECK_THAT(failure, Contains(", phase " + (fault.strategy == "beside memory" ? "val.epoch" : fault.phase)));
    if (fault.kind == "kill") CHECK_THAT(failure, Contains(rank + " of " + fault.run() + " was ended by signal 9 (Killed) in epoch "));
    if (fault.kind == "memory") CHECK_THAT(failure, Contains(rank + " of " + fault.run() + " exited with code 4 in epoch ") && Contains(": out of memory"));
    if (fault.kind == "stop") CHECK_THAT(failure, Contains("for " + rank + ", ") && Contains("its process is stopped"));
  }
  sweep.check_goes_on();
}

TEST_CASE("with a slow rank the run completes, and the others' waiting for it is counted as theirs, not as its own") {
  if (!built_with_tool()) VB_SKIP("libfault_tool.so is not built");
  const FaultySweep sweep({{"slow", "train.forward", "slow", 1}});
  INFO(sweep.outcome().output);
  REQUIRE(sweep.outcome().code == 0);
  const RunRecord record = sweep.sandbox().record("r00-slow");
  CHECK(record.exactness.exact == "true");
  double waited_s[2] = {};
  for (const EpochRecord& epoch : record.epochs) waited_s[epoch.rank] += epoch.comm_wait_s.value.value_or(0);
  std::printf("waiting: rank 0 %.3f s, rank 1 (200 ms slower) %.3f s\n", waited_s[0], waited_s[1]);
  CHECK(waited_s[0] > waited_s[1]);
}
