// `valbench train` with real ranks: the run folder, its numbering, what is refused, and how it stops.
#include <signal.h>

#include <filesystem>

#include "base/file.h"
#include "record/results_csv.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"
#include "tests/support/programs.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// A tiny data set, and trainings on it that take seconds.
struct Training {
  SweepSandbox sandbox;
  fs::path data = sandbox.make_data("set");
  fs::path runs = sandbox.path() / "runs/train";

  std::vector<std::string> arguments(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"train", "--data", "set/data.yaml", "--cfg",        "yolov5n", "--imgsz", "64",
                                    "--device", "cpu", "--batch-size", "4"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome run(const std::vector<std::string>& more) const { return sandbox.valbench(arguments(more)); }
};

void check_refused(const Training& training, const std::vector<std::string>& options, const std::string& expected) {
  const auto before = training.sandbox.listing();
  const Outcome outcome = training.run(options);
  INFO(outcome.output);
  CHECK(outcome.code == 2);
  CHECK_THAT(outcome.output, Catch::StartsWith("error: ") && Contains(expected));
  CHECK(training.sandbox.listing() == before);
}

}  // namespace

TEST_CASE("a training on two ranks leaves weights, results.csv, opt.yaml, hyp.yaml and run.json, and shows YOLOv5's rows") {
  const Training training;
  const Outcome outcome = training.run({"--epochs", "2", "--ranks", "2", "--placement", "sharded"});
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.output, Contains("Epoch    GPU_mem   box_loss   obj_loss   cls_loss  Instances       Size") &&
                                 Contains("\n        1/1") && Contains("Class     Images  Instances          P          R") &&
                                 Contains("2 epochs completed in") && Contains((training.runs / "exp").string() + "\n"));
  const fs::path folder = training.runs / "exp";
  for (const char* file : {"opt.yaml", "hyp.yaml", "spec.json", "rank-0.log", "rank-1.log", "weights"}) CHECK(fs::exists(folder / file));
  CHECK_THAT(read_file(folder / "opt.yaml"), Contains("\nplacement: sharded\n") && Contains("\nepochs: 2\n"));

  const RunRecord record = read_run_record(folder / "run.json");
  REQUIRE(record.validations.size() == 2);
  const std::string csv = read_file(folder / "results.csv");
  CHECK_THAT(csv, Catch::StartsWith(results_csv_header()));
  CHECK(occurrences(csv, "\n") == 3);
  char cell[32];
  std::snprintf(cell, sizeof cell, ",%20.5g,", record.validations[1].map50_95);
  CHECK_THAT(csv, Contains(cell));

  CHECK(training.run({"--epochs", "1", "--noval"}).code == 0);
  CHECK(fs::exists(training.runs / "exp2/run.json"));
  CHECK(training.run({"--epochs", "1", "--exist-ok"}).code == 0);
  CHECK(occurrences(read_file(folder / "results.csv"), "\n") == 2);
  CHECK_FALSE(fs::exists(training.runs / "exp3"));
}

TEST_CASE("a training that validates beside itself or afterwards leaves the best weights and the rows of one that waits") {
  const Training training;
  for (const std::string placement : {"rank0", "overlapped", "deferred"}) {
    const Outcome outcome = training.run({"--epochs", "3", "--patience", "0", "--ranks", "2", "--placement", placement, "--name", placement});
    INFO(outcome.output);
    REQUIRE(outcome.code == 0);
    if (placement == "deferred") CHECK(occurrences(outcome.output, "validation of epoch ") == 3);
    CHECK_FALSE(fs::exists(training.runs / placement / "snapshots"));
    for (const char* file : {"results.csv", "weights/best.safetensors"}) {
      INFO(placement << " " << file);
      CHECK((read_file(training.runs / placement / file) == read_file(training.runs / "rank0" / file)));
    }
    const RunRecord record = read_run_record(training.runs / placement / "run.json");
    REQUIRE(record.validations.size() == 3);
    for (const ValidationRecord& validation : record.validations) CHECK(validation.phase_s.contains("val.forward") == (placement != "rank0"));
  }
  CHECK_THAT(training.run({"--epochs", "1", "--placement", "deferred"}).output, Contains("patience") && Contains("come after it"));
}

TEST_CASE("what a training cannot follow is refused before anything is written") {
  const Training training;
  check_refused(training, {"--epochs", "0"}, "--epochs 0: out of range");
  check_refused(training, {"--weights", "yolov5s.pt"}, "--weights yolov5s.pt: no such file, and nothing is downloaded");
  check_refused(training, {"--data", "none.yaml"}, "--data none.yaml: no such file");
  check_refused(training, {"--cache", "tape"}, "--cache tape: unknown value. Allowed: none, ram, disk");
  check_refused(training, {"--resume"}, "--resume: there is no weights/last.*");
  check_refused(training, {"--project", "set/data.yaml/x"}, "is not writable");
  CHECK(training.run({"--bogus"}).code == 2);
}

TEST_CASE("a finished training cannot be resumed") {
  const Training training;
  training.sandbox.folder().write("runs/train/exp/run.json", "{}");
  training.sandbox.folder().write("runs/train/exp/opt.yaml", "epochs: 1\n");
  training.sandbox.folder().write("runs/train/exp/weights/last.safetensors", "");
  check_refused(training, {"--resume"}, "is finished, there is nothing to continue");
}

TEST_CASE("a validation at the end that fails takes nothing from the finished training, and the advice is one that works") {
  const Training training;
  training.sandbox.folder().write("runs/train/exp/metrics.json/in_the_way", "");  // No file can take this name.
  const Outcome outcome = training.run({"--epochs", "1", "--exist-ok"});
  INFO(outcome.output);
  CHECK(outcome.code == 4);
  const fs::path folder = training.runs / "exp", best = folder / "weights/best.safetensors";
  CHECK_THAT(outcome.output, Contains("1 epoch completed in") && Contains("best epoch: 0") && Contains("The training is finished") &&
                                 Contains("valbench val --weights " + best.string()) && !Contains("--resume"));
  const RunRecord record = read_run_record(folder / "run.json");
  CHECK(record.status == "complete");
  CHECK(record.validations.size() == 1);
  REQUIRE_FALSE(record.warnings.empty());
  CHECK_THAT(record.warnings.back(), Contains("the validation at the end of the training is missing: rank 0") && Contains("metrics.json"));
  CHECK_FALSE(fs::exists(folder / "failed.json"));
  CHECK(training.sandbox.valbench({"val", "--weights", best.string(), "--data", "set/data.yaml", "--imgsz", "64", "--device", "cpu"}).code == 0);
}

TEST_CASE("Ctrl-C stops a training with code 130 and keeps its checkpoint and results.csv") {
  const Training training;
  std::vector<std::string> argv = {"/usr/bin/env", "-C", training.sandbox.path().string(), built("src/main/valbench").string()};
  for (const auto& argument : training.arguments({"--epochs", "10000"})) argv.push_back(argument);
  RunningCommand command(argv);
  // The row of the second epoch: the first one's checkpoint is there.
  REQUIRE(command.wrote("1/9999"));
  REQUIRE(command.wrote("mAP50-95\n"));
  command.send(SIGINT);
  const Outcome outcome = command.finish();
  INFO(outcome.output);
  CHECK(outcome.code == 130);
  CHECK_THAT(outcome.output, Contains("Go on with valbench train --resume " + (training.runs / "exp/weights/last.safetensors").string()));
  const fs::path folder = training.runs / "exp";
  CHECK(read_run_record(folder / "failed.json").status == "interrupted");
  CHECK(fs::exists(folder / "results.csv"));
  CHECK_FALSE(fs::exists(folder / "run.json"));
  CHECK(processes_of(folder).empty());
}
