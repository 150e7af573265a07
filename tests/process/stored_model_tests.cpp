// Weights files that say themselves which model they are of: `--weights` without `--cfg`, and validation of a model of one's own.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "data/synthetic_dataset.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"
#include "tests/support/golden_json.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A small network of strides 8 and 16, which is none of YOLOv5's.
const std::string kSmallModel =
    "nc: 80\ndepth_multiple: 1.0\nwidth_multiple: 1.0\nanchors:\n  - [10,13, 16,30]\n  - [33,23, 30,61]\nbackbone:\n"
    "  - [-1, 1, Conv, [16, 6, 2, 2]]\n  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 1, Conv, [24, 3, 2]]\n  - [-1, 1, C3, [24]]\n"
    "  - [-1, 1, Conv, [32, 3, 2]]\nhead:\n  - [[3, 4], 1, Detect, [nc, anchors]]\n";

class StoredSandbox {
 public:
  StoredSandbox() {
    SyntheticSpec spec;
    spec.train_images = 8, spec.val_images = 8, spec.width = 64, spec.height = 64;
    make_synthetic_dataset(spec, sandbox_.path() / "set");
  }
  /// Its own cache folder: model files of weights are laid there.
  Outcome run(const std::string& command, const std::vector<std::string>& more) const {
    std::vector<std::string> argv = {command, "--data", "set/data.yaml", "--imgsz", "64", "--device", "cpu", "--batch-size", "4"};
    argv.insert(argv.end(), more.begin(), more.end());
    return sandbox_.valbench(argv, {"VALBENCH_CACHE=" + (sandbox_.path() / "cache").string()});
  }
  Outcome train(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"--epochs", "1", "--noplots"};
    all.insert(all.end(), more.begin(), more.end());
    return run("train", all);
  }
  RunSpec trained(const std::string& name) const { return read_run_record(path() / "runs/train" / name / "run.json").spec; }
  fs::path path() const { return sandbox_.path(); }
  const SweepSandbox& sandbox() const { return sandbox_; }

 private:
  SweepSandbox sandbox_;
};

}  // namespace

TEST_CASE("a model of one's own is validated and trained on from its weights alone, its YAML is in them") {
  const StoredSandbox box;
  const fs::path yaml = box.sandbox().folder().write("small.yaml", kSmallModel);
  const Outcome first = box.train({"--cfg", "small.yaml", "--name", "first"});
  INFO(first.output);
  REQUIRE(first.code == 0);
  fs::remove(yaml);
  const std::string last = (box.path() / "runs/train/first/weights/last.safetensors").string();
  const Outcome validated = box.run("val", {"--weights", last});
  INFO(validated.output);
  REQUIRE(validated.code == 0);
  CHECK(json::parse(read_file(box.path() / "runs/val/exp/metrics.json")).at("images") == 8);

  const Outcome second = box.train({"--weights", last, "--name", "second"});
  INFO(second.output);
  REQUIRE(second.code == 0);
  const fs::path model = box.trained("second").model;
  CHECK(model.filename() == "small.yaml");
  // The anchors of the weights count, which AutoAnchor may have fitted, unless --cfg names a model (YOLOv5's rule).
  CHECK_FALSE(box.trained("second").keep_anchors);
  CHECK(box.trained("first").keep_anchors);
  CHECK(read_file(model) == kSmallModel);
  // And the weights of that training are again whole.
  CHECK(box.run("val", {"--weights", (box.path() / "runs/train/second/weights/last.safetensors").string()}).code == 0);
}

TEST_CASE("a .pt of YOLOv5 is enough to train on: it says that it is a yolov5n") {
  const fs::path weights = fs::absolute(golden_folder() / "yolov5n_bccd.pt");
  if (!fs::exists(weights)) VB_SKIP("needs " + weights.string() + "; VALBENCH_GOLDEN names another folder");
  const StoredSandbox box;
  const Outcome outcome = box.train({"--weights", weights.string()});
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK(box.trained("exp").model == "yolov5n");
  CHECK_THAT(outcome.output, Contains("yolov5n, 64 px, 1 epoch, "));
}

TEST_CASE("weights that do not say what they are of are refused before anything is written") {
  const StoredSandbox box;
  box.sandbox().folder().write("broken.pt", "PK\3\4 and nothing else");
  const auto before = box.sandbox().listing();
  const Outcome outcome = box.train({"--weights", "broken.pt"});
  INFO(outcome.output);
  CHECK(outcome.code == 2);
  CHECK_THAT(outcome.output, Catch::StartsWith("error: --weights broken.pt"));
  CHECK(occurrences(outcome.output, "\n") == 1);
  CHECK(box.sandbox().listing() == before);
}
