// The weights of a finished training in Python: torch.load(weights_only=True), and the way back into Python YOLOv5
// (tools/to_yolov5.py) with its own val.py; a training of Python YOLOv5 continued here. Needs the environment of
// `./valbench setup --peers`, which VALBENCH_PEERS names.
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"
#include "tests/support/golden_json.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::string project_file(const std::string& name) {
  const char* source = std::getenv("VALBENCH_SOURCE");
  return (fs::absolute(source != nullptr ? source : ".") / name).string();
}

/// Python of the peers; empty without them.
fs::path python() {
  const char* peers = std::getenv("VALBENCH_PEERS");
  const fs::path program = fs::path(peers != nullptr ? peers : "") / "bin/python";
  return peers != nullptr && fs::exists(program) ? program : fs::path();
}

constexpr const char* kNoPeers =
    "needs Python with torch and yolov5: run ./valbench setup --peers, and ./valbench test or set VALBENCH_PEERS";

/// Runs a program of Python. Optional libraries that YOLOv5 would import stand as stubs beside the golden numbers.
CapturedRun run_python(std::vector<std::string> arguments) {
  std::vector<std::string> argv = {"/usr/bin/env", "PYTHONPATH=" + fs::absolute(golden_folder() / "../peers/stubs").string(),
                                   "PYTHONDONTWRITEBYTECODE=1", "OMP_NUM_THREADS=1", "WANDB_MODE=disabled", python().string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_captured(argv, 800);
}

/// The line of JSON among what a program printed.
json answer_of(const CapturedRun& run) {
  std::istringstream lines(run.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('{')) return json::parse(line);
  }
  throw std::runtime_error("no line of JSON: " + run.output);
}

}  // namespace

TEST_CASE("Python reads a training's last.pt and best.pt with torch.load(weights_only=True): what the safetensors hold") {
  if (python().empty()) VB_SKIP(kNoPeers);
  const SweepSandbox sandbox;
  sandbox.make_data("set");
  const Outcome trained =
      sandbox.valbench({"train", "--data", "set/data.yaml", "--cfg", "yolov5n", "--imgsz", "64", "--device", "cpu",
                        "--batch-size", "4", "--epochs", "1", "--set", "threads=1"});
  INFO(trained.output);
  REQUIRE(trained.code == 0);
  const CapturedRun run = run_python({project_file("tests/process/python_weights.py"), project_file("tools"),
                                      (sandbox.path() / "runs/train/exp/weights").string()});
  INFO(run.output);
  REQUIRE(run.exit.ok());
  const json facts = answer_of(run);
  for (const char* name : {"last", "best"}) {
    const json& found = facts.at(name);
    CHECK(found["entries"] == 349);
    CHECK(found["halves"] == 349 - 57);  // Every batch norm also counts its batches.
    CHECK(found["type"] == "OrderedDict");
    CHECK(found["same"] == true);
    CHECK(found["same_info"] == true);
    CHECK(found["info"]["epoch"] == -1);
    CHECK(found["info"]["nc"] == 2);
    CHECK(found["info"]["names"].size() == 2);
    CHECK(found["info"]["yaml_file"] == "yolov5n.yaml");
    CHECK(found["info"]["hyp"]["lr0"] == 0.01);
  }
}

TEST_CASE("Python YOLOv5 validates a training of valbench, taken back by to_yolov5.py, with valbench's own numbers") {
  if (python().empty()) VB_SKIP(kNoPeers);
  const fs::path start = golden_folder() / "yolov5n_bccd.pt", bccd = golden_folder() / "../data/bccd/data.yaml";
  const fs::path stubs = golden_folder() / "../peers/stubs";
  for (const fs::path& needed : {start, bccd, stubs}) {
    if (!fs::exists(needed)) VB_SKIP("needs " + needed.string() + "; VALBENCH_GOLDEN names another folder");
  }
  const SweepSandbox sandbox;
  // A short training of trained weights: their mAP means something.
  const Outcome trained =
      sandbox.valbench({"train", "--data", bccd.string(), "--weights", start.string(), "--cfg", "yolov5n", "--imgsz", "96",
                        "--device", "cpu", "--batch-size", "16", "--epochs", "1", "--set", "threads=1", "--set",
                        "hyp.lr0=0.0001", "--set", "hyp.warmup_bias_lr=0.0001"});
  INFO(trained.output);
  REQUIRE(trained.code == 0);
  const fs::path best = sandbox.path() / "runs/train/exp/weights/best.pt", back = sandbox.path() / "back.pt";
  const CapturedRun converted = run_python({project_file("tools/to_yolov5.py"), best.string(), back.string()});
  INFO(converted.output);
  REQUIRE(converted.exit.ok());

  // YOLOv5's data.yaml is relative to where it runs.
  const fs::path data = sandbox.folder().write(
      "bccd.yaml", "path: " + fs::canonical(bccd.parent_path()).string() +
                       "\ntrain: images/train\nval: images/val\nnames: [RBC, WBC, Platelets]\n");
  const CapturedRun theirs = run_python({project_file("tests/process/python_val.py"), back.string(), data.string(), "320", "32",
                                         (sandbox.path() / "python").string()});
  INFO(theirs.output);
  REQUIRE(theirs.exit.ok());
  const json expected = answer_of(theirs);
  CHECK(expected["map50_95"] > 0.05);  // Else equal numbers would say little.

  Deviations d;
  for (const fs::path& weights : {best, back}) {  // What Python wrote is read here, too.
    const Outcome validated =
        sandbox.valbench({"val", "--weights", weights.string(), "--data", data.string(), "--imgsz", "320", "--batch-size",
                          "32", "--device", "cpu", "--threads", "1", "--name", weights.stem().string()});
    INFO(validated.output);
    REQUIRE(validated.code == 0);
    const json ours = json::parse(read_file(sandbox.path() / "runs/val" / weights.stem() / "metrics.json"));
    for (const char* number : {"map50", "map50_95"}) d.add(number, ours.at(number), expected.at(number), 0.001, 0);
    for (const char* number : {"precision", "recall"}) d.add(number, ours.at(number), expected.at(number), 0.005, 0);
  }
  d.print_and_check("Python YOLOv5's val on a training of valbench");
}

TEST_CASE("a training of Python YOLOv5 with AdamW, stopped, goes on here in its own folder with its own options") {
  if (python().empty()) VB_SKIP(kNoPeers);
  if (!fs::exists(golden_folder() / "../peers/stubs")) VB_SKIP("needs ../peers/stubs beside the golden numbers");
  const SweepSandbox sandbox;
  sandbox.make_data("set");
  const fs::path data = sandbox.folder().write(
      "set.yaml", "path: " + (sandbox.path() / "set").string() + "\ntrain: images/train\nval: images/val\nnames: [a, b]\n");
  const fs::path folder = sandbox.path() / "theirs/exp";
  const CapturedRun theirs =
      run_python({project_file("tests/process/python_train.py"), "--data", data.string(), "--weights", "", "--cfg", "yolov5n.yaml",
                  "--img", "64", "--batch", "4", "--epochs", "2", "--save-period", "1", "--optimizer", "AdamW", "--device", "cpu",
                  "--workers", "0", "--noplots", "--noautoanchor", "--project", folder.parent_path().string()});
  INFO(theirs.output);
  REQUIRE(theirs.exit.ok());
  const std::string opt = read_file(folder / "opt.yaml"), csv = read_file(folder / "results.csv");
  // As if it had been stopped after its first epoch.
  const Outcome onward = sandbox.valbench({"train", "--resume", (folder / "weights/epoch0.pt").string(), "--set", "threads=1"});
  INFO(onward.output);
  REQUIRE(onward.code == 0);
  CHECK(read_file(folder / "opt.yaml") == opt);
  const RunRecord record = read_run_record(folder / "run.json");
  CHECK(record.spec.optimizer == OptimizerKind::adamw);
  CHECK(record.spec.imgsz == 64);
  CHECK(record.spec.epochs == 2);
  REQUIRE(record.epochs.size() == 1);
  CHECK(record.epochs[0].epoch == 1);
  // Their first row stays, without the columns that the package appends to v7.0's; ours follows.
  const std::string now = read_file(folder / "results.csv");
  const std::size_t row = csv.find('\n') + 1, cells = 14 * 21 - 1;
  CHECK(now.substr(0, cells) == csv.substr(0, cells));
  CHECK(now.substr(cells + 1, cells) == csv.substr(row, cells));
  CHECK(occurrences(now, "\n") == 3);
  CHECK(now.size() == 3 * (cells + 1));
}
