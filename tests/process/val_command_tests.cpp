// `valbench val` as a user runs it: metrics.json, the same numbers on any number of ranks, and what it refuses.
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "data/synthetic_dataset.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// The trained weights that lie in the project: yolov5n, 3 classes of the synthetic scenes.
fs::path quickstart_weights() {
  const char* source = std::getenv("VALBENCH_SOURCE");
  return fs::absolute(fs::path(source != nullptr ? source : ".") / "scenarios/weights/quickstart.safetensors");
}

/// A sandbox with a synthetic set of the quickstart's classes in `set`.
class ValSandbox {
 public:
  explicit ValSandbox(int classes = 3) {
    SyntheticSpec spec;
    spec.train_images = 4, spec.val_images = 13, spec.classes = classes;
    make_synthetic_dataset(spec, sandbox_.path() / "set");
  }

  Outcome val(const std::vector<std::string>& options) const {
    std::vector<std::string> argv = {"val", "--device", "cpu", "--threads", "1", "--batch-size", "4", "--imgsz", "128"};
    argv.insert(argv.end(), options.begin(), options.end());
    return sandbox_.valbench(argv);
  }
  Outcome val_quickstart(std::vector<std::string> options) const {
    const std::vector<std::string> given = {"--weights", quickstart_weights().string(), "--data", "set/data.yaml"};
    options.insert(options.begin(), given.begin(), given.end());
    return val(options);
  }

  /// metrics.json without what may differ: times, and the settings that say how it was run.
  json numbers(const std::string& run) const {
    json metrics = json::parse(read_file(sandbox_.path() / "runs/val" / run / "metrics.json"));
    metrics.erase("seconds");
    metrics.erase("settings");
    return metrics;
  }

  const SweepSandbox& sandbox() const { return sandbox_; }

 private:
  SweepSandbox sandbox_;
};

void check_refused(const ValSandbox& box, const Outcome& outcome, const std::vector<std::string>& before,
                   const std::vector<std::string>& expected) {
  INFO(outcome.output);
  CHECK(outcome.code == 2);
  for (const std::string& part : expected) CHECK_THAT(outcome.output, Contains(part));
  CHECK(outcome.output.find("error: ") != std::string::npos);
  CHECK(occurrences(outcome.output, "\n") == 1);
  CHECK(box.sandbox().listing() == before);
}

}  // namespace

TEST_CASE("one rank and two ranks give the same metrics.json, curves, matrix and detections to the bit") {
  const ValSandbox box;
  const Outcome one = box.val_quickstart({"--save-json", "--save-txt", "--save-conf"});
  INFO(one.output);
  REQUIRE(one.code == 0);
  CHECK_THAT(one.output, Contains("Class     Images  Instances          P          R      mAP50   mAP50-95"));
  const Outcome two = box.val_quickstart({"--save-json", "--save-txt", "--save-conf", "--ranks", "2"});
  INFO(two.output);
  REQUIRE(two.code == 0);
  const json numbers = box.numbers("exp");
  CHECK(numbers == box.numbers("exp2"));
  CHECK(numbers.at("images") == 13);
  CHECK(numbers.at("map50").get<double>() > 0.05);
  const fs::path runs = box.sandbox().path() / "runs/val";
  for (const char* file : {"confusion_matrix.csv", "PR_curve.csv", "F1_curve.csv", "P_curve.csv", "R_curve.csv",
                           "quickstart_predictions.json", "coco_ground_truth.json"}) {
    INFO(file);
    CHECK(read_file(runs / "exp" / file) == read_file(runs / "exp2" / file));
  }
  // COCO's definition has ten IoU thresholds as YOLOv5's has, and another way to interpolate.
  CHECK(numbers.at("coco").at("ap").get<double>() == Approx(numbers.at("map50_95").get<double>()).margin(0.03));
  CHECK_THAT(one.output, Contains("COCO AP 0.") && Contains("COCO AR 0."));
  std::int64_t lines = 0;
  for (const auto& entry : fs::directory_iterator(runs / "exp/labels")) {
    const std::string text = read_file(entry.path());
    CHECK(text == read_file(runs / "exp2/labels" / entry.path().filename()));
    lines += occurrences(text, "\n");
  }
  CHECK(lines == numbers.at("detections"));
  CHECK(static_cast<std::int64_t>(json::parse(read_file(runs / "exp/quickstart_predictions.json")).size()) == lines);
}

TEST_CASE("test-time augmentation, a single class and task speed change what is scored") {
  const ValSandbox box;
  REQUIRE(box.val_quickstart({"--name", "plain"}).code == 0);
  REQUIRE(box.val_quickstart({"--name", "augment", "--augment"}).code == 0);
  REQUIRE(box.val_quickstart({"--name", "single", "--single-cls"}).code == 0);
  REQUIRE(box.val_quickstart({"--name", "speed", "--task", "speed"}).code == 0);
  const json plain = box.numbers("plain"), single = box.numbers("single"), speed = box.numbers("speed");
  CHECK(box.numbers("augment").at("map50_95") != plain.at("map50_95"));
  CHECK(plain.at("per_class").size() > 1);
  CHECK(single.at("per_class").size() == 1);
  CHECK(single.at("labels") == plain.at("labels"));
  CHECK(speed.at("detections").get<int>() < plain.at("detections").get<int>());
  CHECK(speed.at("input_shape") == json({4, 3, 128, 128}));
}

TEST_CASE("validation refuses options and files that it cannot use, and writes nothing") {
  const ValSandbox box;
  box.sandbox().folder().write("text.pt", "these are no weights at all");
  const auto before = box.sandbox().listing();
  const auto refused = [&](const std::vector<std::string>& options, const std::vector<std::string>& expected) {
    check_refused(box, box.val_quickstart(options), before, expected);
  };
  refused({"--task", "nonsense"}, {"--task nonsense: unknown task. Allowed: train, val, test, speed"});
  refused({"--task", "study"}, {"--task study: not offered"});
  refused({"--half"}, {"--half needs a GPU"});
  refused({"--save-hybrid"}, {"--save-hybrid: not offered"});
  refused({"--conf-thres", "1.5"}, {"--conf-thres 1.5: out of range. Allowed: 0 to 1"});
  refused({"--task", "test"}, {"data.yaml: test: not given"});
  check_refused(box, box.val({"--data", "set/data.yaml"}), before, {"yolov5s.pt: no such weights file"});
  check_refused(box, box.val({"--weights", quickstart_weights().string(), "--data", "no.yaml"}), before, {"no.yaml: no such data.yaml"});
  check_refused(box, box.val({"--weights", "text.pt", "--data", "set/data.yaml"}), before, {"text.pt"});
}

TEST_CASE("weights of another number of classes than the data's are refused, unless all count as one") {
  const ValSandbox box(2);
  const auto before = box.sandbox().listing();
  check_refused(box, box.val_quickstart({}), before, {"was trained on 3 classes, but", "names 2", "--single-cls"});
  CHECK(box.val_quickstart({"--single-cls"}).code == 0);
}
