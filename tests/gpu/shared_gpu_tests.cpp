// Two NCCL ranks on one GPU, through the real programs: for correctness, never for timing.
#include <filesystem>

#include "record/run_store.h"
#include "tests/support/catch.h"
#include "tests/support/rank_gpu.h"
#include "tests/support/small_sweep.h"

using namespace valbench;

namespace {

const RunRecord& run_of(const std::vector<RunRecord>& runs, const std::string& strategy) {
  for (const RunRecord& run : runs) {
    if (run.spec.validation.name == strategy) return run;
  }
  throw std::runtime_error("no run of " + strategy);
}

const std::vector<std::string> kShared = {"--set", "device=cuda:0", "--set", "share_gpu=true"};

}  // namespace

TEST_CASE("two NCCL ranks on one GPU train alike, and every validation is exact: sharded, beside training, after it") {
  if (const std::string reason = test::no_gpu_for_ranks(); !reason.empty()) VB_SKIP(reason);
  const test::SmallSweep sweep;
  std::vector<std::string> arguments = kShared;
  const std::vector<std::string> more = {"--set",
                                         "strategies=[{name: rank0}, {name: sharded, placement: sharded}, "
                                         "{name: overlapped, placement: overlapped}, {name: deferred, placement: deferred}]"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const CapturedRun outcome = sweep.run("plain", arguments);
  INFO(outcome.output);
  REQUIRE(outcome.exit.ok());
  const auto runs = read_runs(sweep.folder("plain"));
  REQUIRE(runs.size() == 4);
  for (const RunRecord& run : runs) {
    INFO(run_record_to_json(run));
    CHECK(run.status == "complete");
    CHECK(run.invalid_reasons.empty());
    CHECK_FALSE(run.timing_comparable);
    CHECK(run.gpu_traces.empty());
  }
  for (const char* name : {"rank0", "sharded", "overlapped", "deferred"}) {
    const RunRecord& run = run_of(runs, name);
    INFO(name << " " << run.exactness.first_difference);
    CHECK(run.exactness.exact == "true");
  }
}

TEST_CASE("a rank that only validates gets its snapshots over NCCL and is exact, traced or not") {
  if (const std::string reason = test::no_gpu_for_ranks(); !reason.empty()) VB_SKIP(reason);
  const test::SmallSweep sweep;
  const std::string strategies = "strategies=[{name: rank0}, {name: dedicated, placement: dedicated}]";
  for (const bool traced : {false, true}) {
    std::vector<std::string> arguments = kShared;
    arguments.insert(arguments.end(), {"--set", strategies});
    if (traced) arguments.push_back("--profile");
    const std::string folder = traced ? "traced" : "plain";
    const CapturedRun outcome = sweep.run(folder, arguments);
    INFO(outcome.output);
    REQUIRE(outcome.exit.ok());
    const auto runs = read_runs(sweep.folder(folder));
    const RunRecord& dedicated = run_of(runs, "dedicated");
    INFO(run_record_to_json(dedicated));
    CHECK(dedicated.invalid_reasons.empty());
    CHECK(dedicated.exactness.exact == "true");
    REQUIRE_FALSE(dedicated.validations.empty());
    CHECK(dedicated.validations.back().epoch == dedicated.spec.epochs - 1);
    CHECK(dedicated.validations.size() + dedicated.skipped_validations.size() == 2);
    CHECK(dedicated.gpu_traces.size() == (traced ? 2 : 0));
    for (const GpuTraceRecord& trace : dedicated.gpu_traces) {
      CHECK(trace.available);
      CHECK(trace.kernels > 0);
    }
  }
}

TEST_CASE("a traced run on a GPU records every kernel, communication apart, and its breakdown adds up to the window") {
  if (const std::string reason = test::no_gpu_for_ranks(); !reason.empty()) VB_SKIP(reason);
  const test::SmallSweep sweep;
  std::vector<std::string> arguments = kShared;
  arguments.push_back("--profile");
  const CapturedRun outcome = sweep.run("traced", arguments);
  INFO(outcome.output);
  REQUIRE(outcome.exit.ok());
  for (const RunRecord& run : read_runs(sweep.folder("traced"))) {
    REQUIRE(run.gpu_traces.size() == 2);
    for (const GpuTraceRecord& trace : run.gpu_traces) {
      std::string health;
      for (const std::string& sentence : trace.health) health += sentence + "\n";
      INFO(run.spec.run_id << ", rank " << trace.rank << ": " << trace.reason << "\n" << health);
      REQUIRE(trace.available);
      CHECK(trace.kernels > 0);
      CHECK(trace.comm_kernels > 0);
      CHECK(trace.dropped + trace.invalid + trace.orphans + trace.missing == 0);
      CHECK(*trace.none_share.value < 0.02);
      REQUIRE(trace.comm_wait_s.value);
      CHECK(*trace.compute_s.value + *trace.comm_transfer_s.value + *trace.comm_wait_s.value + *trace.memcpy_s.value +
                *trace.idle_s.value == Approx(*trace.wall_s.value));
    }
    const auto forward = std::find_if(run.gpu_phases.begin(), run.gpu_phases.end(),
                                      [](const GpuPhaseRecord& p) { return p.phase == "train.forward"; });
    REQUIRE(forward != run.gpu_phases.end());
    CHECK(forward->epoch == 1);
    CHECK(forward->kernel_s > 0);
  }
}
