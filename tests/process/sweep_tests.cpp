// `valbench sweep` with real ranks: the folder it leaves, options, warnings, and what happens when something goes wrong.
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
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

std::vector<std::string> columns_of(const fs::path& csv) {
  std::istringstream header(read_file(csv).substr(0, read_file(csv).find('\n')));
  std::vector<std::string> names;
  for (std::string name; std::getline(header, name, ',');) names.push_back(name);
  return names;
}

int rows_of(const fs::path& csv) { return occurrences(read_file(csv), "\n") - 1; }

/// Column names of design §6, in their order.
const std::vector<std::string> kSummaryColumns = {
    "schema_version", "strategy",     "runs",          "job_s",           "epoch_s",      "train_s",
    "val_s",          "val_share",    "idle_gpu_s",    "comm_wait_s",     "balance_gain", "steps",
    "val_images",     "peak_memory_mib", "map50",      "map50_95",        "map50_95_delta", "exact",
    "speedup",        "speedup_low",  "speedup_high",  "verdict"};

std::string test_script(const std::string& name) {
  return std::string(std::getenv("VALBENCH_SOURCE")) + "/tests/process/" + name;
}

}  // namespace

TEST_CASE("a sweep leaves one folder per run, three CSV files and a table, and ends with code 0") {
  const SweepSandbox sandbox;
  const auto before = sandbox.listing();
  CHECK_THAT(sandbox.valbench({"plan", "scenario.yaml"}).output, Contains("estimated time: roughly "));
  CHECK(sandbox.listing() == before);
  const Outcome outcome = sandbox.sweep();
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.output, Contains("tiny: yolov5n, 64 px") && Contains("\nsharded") && Contains("\nrank0"));
  for (const char* run : {"r00-rank0", "r00-sharded"}) {
    const RunRecord record = sandbox.record(run);
    CHECK(record.exactness.exact == "true");
    CHECK(record.warnings.empty());
    for (const char* file : {"spec.json", "rank-0.log", "rank-1.log", "weights/last.safetensors"})
      CHECK(fs::exists(sandbox.out() / run / file));
    CHECK_FALSE(fs::exists(sandbox.out() / run / "failed.json"));
  }
  const auto summary = columns_of(sandbox.out() / "summary.csv");
  REQUIRE(summary.size() >= kSummaryColumns.size());
  CHECK(std::vector<std::string>(summary.begin(), summary.begin() + static_cast<std::ptrdiff_t>(kSummaryColumns.size())) ==
        kSummaryColumns);
  CHECK(rows_of(sandbox.out() / "summary.csv") == 2);
  CHECK(rows_of(sandbox.out() / "runs.csv") == 2);
  CHECK(columns_of(sandbox.out() / "runs.csv").front() == "schema_version");
  CHECK(columns_of(sandbox.out() / "phases.csv").front() == "schema_version");
  CHECK(rows_of(sandbox.out() / "phases.csv") > 20);

  const Outcome again = sandbox.sweep();
  CHECK(again.code == 2);
  CHECK_THAT(again.output, Contains("holds complete runs") && Contains("--resume") && Contains("--out"));
  const Outcome plan = sandbox.valbench({"plan", "scenario.yaml", "--out", "out"});
  CHECK(plan.code == 0);
  CHECK_THAT(plan.output, Contains("2 runs of yolov5n on 2 ranks (cpu), 1 epoch each") && Contains("(from the complete runs in that folder)"));
}

TEST_CASE("--set and --rounds change the sweep, and without --out it goes to results/NAME") {
  const SweepSandbox sandbox;
  const Outcome outcome = sandbox.valbench({"sweep", "scenario.yaml", "--rounds", "2", "--set", "name=other name", "--set",
                                            "strategies=[{name: rank0}]", "--set", "validation.interval=2", "--set", "epochs=2"});
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  const fs::path folder = sandbox.path() / "results/other-name";
  CHECK(rows_of(folder / "runs.csv") == 2);
  for (const char* run : {"r00-rank0", "r01-rank0"}) {
    const RunRecord record = read_run_record(folder / run / "run.json");
    REQUIRE(record.validations.size() == 1);
    CHECK(record.validations[0].epoch == 1);
  }
}

TEST_CASE("what is wrong with single images is counted in run.json and said once, below the table") {
  const SweepSandbox sandbox;
  const fs::path data = sandbox.make_data("photos");
  std::vector<fs::path> images;
  for (const auto& entry : fs::directory_iterator(data / "images/train")) images.push_back(entry.path());
  std::sort(images.begin(), images.end());
  const std::string bad_label = "labels/train/" + images[0].stem().string() + ".txt";
  sandbox.folder().write("photos/" + bad_label, "0 0.5 0.5 0.2 0.2\n0 0.5 1.5 0.2 0.2\n");
  std::ofstream(images[1]) << "no image";
  std::string half = read_file(images[2]);
  half.resize(half.size() * 3 / 4);
  std::ofstream(images[2], std::ios::binary) << half;

  const Outcome outcome = sandbox.sweep({"--set", "data=photos/data.yaml", "--set", "imgsz=70"});
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  const RunRecord record = sandbox.record("r00-sharded");
  REQUIRE(record.warnings.size() == 4);
  CHECK(record.spec.imgsz == 96);
  CHECK(record.epochs[0].train_images + record.epochs[1].train_images == 6);
  CHECK(read_file(images[2]) == half);

  const std::string text = unwrapped(outcome.output);
  const std::vector<std::string> expected = {"imgsz 70 is rounded up to 96", bad_label + ":2: coordinate 1.5 is above 1",
                                             images[1].filename().string() + ": cannot be decoded",
                                             images[2].filename().string() + ": truncated JPEG"};
  for (const std::string& warning : expected) {
    CHECK(occurrences(text, warning) == 1);
    CHECK(text.find(warning) > text.find("speed- 95 %"));
  }
  CHECK(occurrences(text, "Warning: ") == 4);
}

TEST_CASE("a rank that is killed ends its run, is named, and the sweep goes on to exit code 4") {
  const SweepSandbox sandbox;
  const std::vector<std::string> environment = {"VALBENCH_RANK_PROGRAM=" + test_script("dying_rank.sh"),
                                                "REAL_RANK=" + built("src/main/valbench-rank").string(), "DYING_RUN=r00-sharded"};
  const Outcome outcome = sandbox.sweep({}, environment);
  INFO(outcome.output);
  CHECK(outcome.code == 4);
  CHECK_THAT(outcome.output, Contains("rank 1 of r00-sharded was ended by signal 9") && Contains("batch size 4") &&
                                 Contains("1 of 2 runs failed") && Contains("--resume"));
  CHECK(read_run_record(sandbox.out() / "r00-sharded/failed.json").status == "failed");
  CHECK_FALSE(fs::exists(sandbox.out() / "r00-sharded/run.json"));
  CHECK(sandbox.record("r00-rank0").status == "complete");
  CHECK(processes_of(sandbox.out()).empty());

  const std::string kept = read_file(sandbox.out() / "r00-rank0/run.json");
  const Outcome resumed = sandbox.sweep({"--resume"});
  INFO(resumed.output);
  CHECK(resumed.code == 0);
  CHECK_THAT(resumed.output, Contains("r00-rank0: kept"));
  CHECK(read_file(sandbox.out() / "r00-rank0/run.json") == kept);
  CHECK(sandbox.record("r00-sharded").exactness.exact == "true");
}

TEST_CASE("Ctrl-C stops all ranks with code 130, and --resume makes only what is missing") {
  const SweepSandbox sandbox;
  RunningCommand command(sandbox.sweep_command({"--rounds", "2"}));
  REQUIRE(command.wrote("\n[1/4] "));
  command.send(SIGINT);
  const Outcome outcome = command.finish();
  INFO(outcome.output);
  CHECK(outcome.code == 130);
  CHECK_THAT(outcome.output, Contains("Complete runs are kept; continue with --resume"));
  CHECK(processes_of(sandbox.out()).empty());
  int complete = 0;
  for (const auto& entry : fs::directory_iterator(sandbox.out())) complete += fs::exists(entry.path() / "run.json") ? 1 : 0;
  CHECK(complete == 1);

  const Outcome resumed = sandbox.sweep({"--rounds", "2", "--resume"});
  INFO(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(occurrences(resumed.output, ": kept") == 1);
  CHECK(rows_of(sandbox.out() / "runs.csv") == 4);
}

TEST_CASE("--resume never takes a complete run of other settings for its own, and never removes it") {
  const SweepSandbox sandbox;
  REQUIRE(sandbox.sweep({"--set", "strategies=[{name: rank0}]"}).code == 0);
  const auto before = sandbox.listing();
  const auto refused = [&](const std::string& setting, const std::string& reason) {
    const Outcome outcome = sandbox.sweep({"--resume", "--set", setting});
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.output, Contains("r00-rank0 is a complete run of other settings (" + reason) && Contains("--out DIR"));
  };
  refused("epochs=2", "epochs: 1, now 2)");
  refused("validation.interval=3", "validation.interval: 1, now 3)");
  refused("synth.seed=5", "other options of synth)");
  CHECK(sandbox.listing() == before);
}

TEST_CASE("a disk that fills up fails the run with the file's name and keeps complete runs") {
  const SweepSandbox sandbox;
  REQUIRE(sandbox.sweep({"--set", "strategies=[{name: rank0}]"}).code == 0);
  // Checkpoints have 3.5 MB: the limit on a file's size stands for a disk without room.
  std::vector<std::string> limited = {"/bin/bash", "-c", "trap '' XFSZ; ulimit -f 1000; exec \"$@\"", "limited"};
  for (const auto& part : sandbox.sweep_command({"--resume"})) limited.push_back(part);
  const CapturedRun run = run_captured(limited, 300);
  INFO(run.output);
  CHECK(run.exit.code == 4);
  CHECK_THAT(run.output, Contains("rank 0 of r00-sharded exited with code 4 in epoch 0, phase checkpoint.save: cannot write") &&
                             Contains("last.safetensors") && Contains("Free some space") && Contains("r00-rank0: kept"));
  CHECK(fs::exists(sandbox.out() / "r00-rank0/run.json"));
  CHECK_FALSE(fs::exists(sandbox.out() / "r00-sharded/run.json"));
}

TEST_CASE("a data folder of the user's own in the results folder is not taken for the synthetic set's") {
  const SweepSandbox sandbox;
  sandbox.folder().write("data/precious.jpg", "mine");
  const Outcome outcome = sandbox.valbench({"sweep", "scenario.yaml", "--out", ".", "--set", "data=synth"});
  INFO(outcome.output);
  CHECK(outcome.code == 2);
  CHECK_THAT(unwrapped(outcome.output), Contains("data: is not empty and not a synthetic data set"));
  CHECK(read_file(sandbox.path() / "data/precious.jpg") == "mine");
}

TEST_CASE("without valbench-rank nothing is written and the fix is named") {
  const SweepSandbox sandbox;
  const auto before = sandbox.listing();
  const Outcome outcome = sandbox.sweep({}, {"VALBENCH_RANK_PROGRAM=/nonexistent/valbench-rank"});
  CHECK(outcome.code == 4);
  CHECK_THAT(outcome.output, Contains("/nonexistent/valbench-rank is missing") && Contains("./valbench setup"));
  CHECK(sandbox.listing() == before);
}
