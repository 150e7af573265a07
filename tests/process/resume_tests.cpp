// `valbench train` killed and resumed: exactly, as YOLOv5 does it, and what is refused.
#include <signal.h>

#include <chrono>
#include <filesystem>

#include "base/file.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"
#include "tests/support/golden_json.h"
#include "tests/support/programs.h"
#include "tests/support/rank_gpu.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// Trainings of four epochs of two batches each, in which every second batch is an optimizer step towards the end.
struct Trainings {
  SweepSandbox sandbox;
  fs::path data = sandbox.make_data("set");
  std::string device = "cpu";
  std::vector<std::string> options;  ///< Of every one of them.

  std::vector<std::string> arguments(const std::string& name) const {
    std::vector<std::string> all = {"train", "--data", "set/data.yaml", "--cfg", "yolov5n", "--imgsz", "64", "--device", device,
                                    "--batch-size", "4", "--epochs", "4", "--seed", "5", "--set", "threads=1", "--name", name};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }
  fs::path folder(const std::string& name) const { return sandbox.path() / "runs/train" / name; }
  fs::path last(const std::string& name) const { return folder(name) / "weights/last.safetensors"; }

  Outcome run(const std::string& name) const { return sandbox.valbench(arguments(name)); }

  /// SIGKILL while a training is under way, with the checkpoint of its first epoch there.
  void run_and_kill(const std::string& name) const {
    std::vector<std::string> argv = {"/usr/bin/env", "-C", sandbox.path().string(), built("src/main/valbench").string()};
    for (const auto& argument : arguments(name)) argv.push_back(argument);
    RunningCommand command(argv);
    REQUIRE(command.wrote("\n        1/3"));  // The row of the second epoch: the first one's checkpoint is written.
    command.send(SIGKILL);
    CHECK(command.finish().code == 128 + SIGKILL);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);  // The ranks end with the controller.
    while (!processes_of(folder(name)).empty()) REQUIRE(std::chrono::steady_clock::now() < deadline);
    REQUIRE(fs::exists(last(name)));
    REQUIRE_FALSE(fs::exists(folder(name) / "run.json"));
  }

  /// Trains without a stop, and killed and resumed exactly: the weights are equal from there on, and what is scored is.
  void check_goes_on_exactly() const {
    const Outcome whole = run("whole");
    INFO(whole.output);
    REQUIRE(whole.code == 0);
    run_and_kill("killed");
    const Outcome resumed = sandbox.valbench({"train", "--resume-exact", last("killed").string()});
    INFO(resumed.output);
    REQUIRE(resumed.code == 0);
    const RunRecord all = read_run_record(folder("whole") / "run.json"), end = read_run_record(folder("killed") / "run.json");
    REQUIRE(all.train_checksums.size() == 4);
    REQUIRE((!end.train_checksums.empty() && end.train_checksums.size() < 4));  // It did go on, and not from the start.
    CHECK(std::equal(end.train_checksums.rbegin(), end.train_checksums.rend(), all.train_checksums.rbegin()));
    REQUIRE((!end.validations.empty() && end.validations.size() <= all.validations.size()));
    for (auto of_end = end.validations.rbegin(), of_all = all.validations.rbegin(); of_end != end.validations.rend(); ++of_end, ++of_all) {
      CHECK(of_end->epoch == of_all->epoch);
      CHECK(of_end->weights_checksum == of_all->weights_checksum);
      CHECK(of_end->map50_95 == of_all->map50_95);
    }
  }

  /// And everything else that is left is equal too.
  void check_exact() const {
    check_goes_on_exactly();
    const RunRecord all = read_run_record(folder("whole") / "run.json"), end = read_run_record(folder("killed") / "run.json");
    CHECK(end.best_epoch == all.best_epoch);
    for (const char* file : {"results.csv", "weights/last.safetensors", "weights/best.safetensors", "weights/last.pt", "weights/best.pt"})
      CHECK(read_file(folder("killed") / file) == read_file(folder("whole") / file));
  }

  void check_refused(const std::vector<std::string>& more, const std::string& expected) const {
    const auto before = sandbox.listing();
    std::vector<std::string> all = {"train"};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome outcome = sandbox.valbench(all);
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.output, Catch::StartsWith("error: ") && Contains(expected));
    CHECK(occurrences(outcome.output, "\n") == 1);
    CHECK(sandbox.listing() == before);
  }
};

}  // namespace

TEST_CASE("a killed training resumed exactly equals the one that ran through, bit for bit, with SGD") {
  Trainings trainings;
  // An epoch without validation repeats the row before it; image weights draw by the last validation's maps.
  trainings.options = {"--val-interval", "2", "--image-weights", "--multi-scale", "--cos-lr"};
  trainings.check_exact();
}

TEST_CASE("a killed training resumed exactly equals the one that ran through, bit for bit, with Adam") {
  Trainings trainings;
  trainings.options = {"--optimizer", "Adam", "--set", "hyp.lr0=0.001"};
  trainings.check_exact();
}

TEST_CASE("a killed training in fp16 on a GPU resumed exactly equals the one that ran through, bit for bit, its gradient scaler too") {
  if (const std::string reason = no_gpu_for_ranks(); !reason.empty()) VB_SKIP(reason);
  Trainings trainings;
  trainings.device = "0";
  trainings.options = {"--deterministic", "--amp", "fp16"};
  trainings.check_exact();
}

TEST_CASE("a killed training of two ranks resumed exactly equals the one that ran through, bit for bit") {
  Trainings trainings;
  trainings.options = {"--ranks", "2", "--placement", "sharded"};
  trainings.check_exact();
}

TEST_CASE("a killed training of two ranks that validated beside it goes on with equal weights, and scores the same") {
  Trainings trainings;
  // The result of the epoch before the kill is lost with the process, and with it perhaps the best epoch.
  SECTION("overlapped") { trainings.options = {"--ranks", "2", "--placement", "overlapped", "--set", "validation.overlap=sharded"}; }
  SECTION("background") { trainings.options = {"--ranks", "2", "--placement", "sharded", "--set", "validation.score=background"}; }
  trainings.check_goes_on_exactly();
}

TEST_CASE("a killed training goes on with --resume in its own folder, and what does not fit it is refused before anything is written") {
  const Trainings trainings;
  trainings.run_and_kill("exp");
  const std::string last = trainings.last("exp").string(), opt = read_file(trainings.folder("exp") / "opt.yaml");
  trainings.check_refused({"--resume", "--imgsz", "96"}, "--imgsz cannot change in a continued training");
  trainings.check_refused({"--resume-exact", "--ranks", "2"}, "the training ran with ranks 1, this one would with 2");
  trainings.sandbox.folder().write("three.yaml", "path: set\ntrain: images/train\nval: images/val\nnames: [a, b, c]\n");
  trainings.check_refused({"--resume", last, "--data", "three.yaml"}, "is of a training on 2 classes, and");
  trainings.check_refused({"--resume", "set/data.yaml"}, "not a usable .pt file: it is no zip archive");
  trainings.check_refused({"--resume", "none.pt"}, "--resume none.pt: no such checkpoint");
  const std::string bytes = read_file(last);
  trainings.sandbox.folder().write("cut.safetensors", bytes.substr(0, bytes.size() / 2));
  trainings.check_refused({"--resume", "cut.safetensors"}, "truncated");

  // Nothing but the folder: the newest last.* below --project. What is given anew holds for the next --resume too, all else stays.
  const Outcome outcome = trainings.sandbox.valbench({"train", "--resume", "--epochs", "5"});
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const std::string four = "\nepochs: 4\n";
  REQUIRE(occurrences(opt, four) == 1);
  CHECK(read_file(trainings.folder("exp") / "opt.yaml") == std::string(opt).replace(opt.find(four), four.size(), "\nepochs: 5\n"));
  CHECK_FALSE(fs::exists(trainings.folder("exp2")));
  const std::string csv = read_file(trainings.folder("exp") / "results.csv");
  CHECK(occurrences(csv, "\n") == 6);
  for (const char* epoch : {"\n                   0,", "\n                   1,", "\n                   2,", "\n                   3,",
                            "\n                   4,"})
    CHECK(occurrences(csv, epoch) == 1);
  const RunRecord record = read_run_record(trainings.folder("exp") / "run.json");
  REQUIRE_FALSE(record.epochs.empty());
  CHECK(record.epochs.front().epoch >= 1);
  CHECK(record.epochs.back().epoch == 4);
  const int before = record.epochs.front().epoch;
  CHECK_THAT(outcome.output, Contains(std::to_string(5 - before) + " epoch") && Contains(" after " + std::to_string(before) + " before") &&
                                 Contains("; best epoch: " + std::to_string(record.best_epoch)));

  // Its training state is gone now.
  trainings.check_refused({"--resume"}, "is finished, there is nothing to continue");
  fs::copy_file(last, trainings.sandbox.path() / "moved.safetensors");
  fs::copy_file(trainings.folder("exp") / "weights/best.pt", trainings.sandbox.path() / "moved.pt");
  for (const char* moved : {"moved.safetensors", "moved.pt"})
    trainings.check_refused({"--resume", moved}, "holds weights without optimizer state");
}

TEST_CASE("YOLOv5's own checkpoint goes on in a new folder with the options that it holds; its stripped form is refused") {
  const fs::path epoch50 = golden_folder() / "yolov5n_bccd_epoch50.pt", bccd = golden_folder() / "../data/bccd/data.yaml";
  if (!fs::exists(epoch50) || !fs::exists(bccd)) VB_SKIP("needs " + epoch50.string() + " and its data set; VALBENCH_GOLDEN names another folder");
  const Trainings trainings;
  trainings.check_refused({"--resume", (golden_folder() / "yolov5n_bccd.pt").string()}, "holds weights without optimizer state");
  trainings.check_refused({"--resume", epoch50.string(), "--device", "cpu"}, "no such file");  // Its data.yaml is elsewhere.
  trainings.check_refused({"--resume", epoch50.string(), "--device", "cpu", "--data", "set/data.yaml"}, "is of a training on 3 classes, and");
  trainings.check_refused({"--resume-exact", epoch50.string(), "--device", "cpu", "--data", bccd.string()}, "YOLOv5 wrote this file");
  const Outcome outcome = trainings.sandbox.valbench({"train", "--resume", epoch50.string(), "--device", "cpu", "--data", bccd.string(),
                                                      "--epochs", "51", "--name", "onward"});
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const std::string opt = read_file(trainings.folder("onward") / "opt.yaml");
  CHECK_THAT(opt, Contains("\nimgsz: 320\n") && Contains("\nbatch_size: 16\n") && Contains("\nepochs: 51\n") && Contains("\nsave_period: 50\n"));
}
