// What `valbench train` leaves once its epochs are over: the closing validation of best, and pictures.
#include <filesystem>
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

/// A synthetic set, and trainings on it from the weights that lie in the project, so that something is detected.
class TrainedSandbox {
 public:
  TrainedSandbox() {
    SyntheticSpec spec;
    spec.train_images = 13, spec.val_images = 13;
    make_synthetic_dataset(spec, sandbox_.path() / "set");
  }

  Outcome run(std::vector<std::string> command, const std::vector<std::string>& more) const {
    const std::vector<std::string> common = {"--data", "set/data.yaml", "--imgsz", "128", "--device", "cpu", "--batch-size", "4"};
    command.insert(command.end(), common.begin(), common.end());
    command.insert(command.end(), more.begin(), more.end());
    return sandbox_.valbench(command);
  }
  Outcome train(const std::vector<std::string>& more) const {
    const char* source = std::getenv("VALBENCH_SOURCE");
    const fs::path weights = fs::absolute(fs::path(source != nullptr ? source : ".") / "scenarios/weights/quickstart.safetensors");
    return run({"train", "--epochs", "1", "--weights", weights.string()}, more);
  }
  fs::path folder(const std::string& name) const { return sandbox_.path() / "runs" / name; }

  /// metrics.json without what says when and how it was run.
  json numbers(const std::string& run) const {
    json metrics = json::parse(read_file(folder(run) / "metrics.json"));
    metrics.erase("seconds");
    metrics.erase("settings");
    return metrics;
  }

 private:
  SweepSandbox sandbox_;
};

bool is_png(const fs::path& file) { return fs::exists(file) && read_file(file).starts_with("\x89PNG\r\n"); }

const std::vector<std::string> kCurves = {"PR_curve", "F1_curve", "P_curve", "R_curve", "confusion_matrix"};

}  // namespace

TEST_CASE("a training ends with the validation of best, on all its ranks, equal to that of `valbench val`, and with pictures") {
  const TrainedSandbox box;
  const Outcome trained = box.train({"--ranks", "2"});
  INFO(trained.output);
  REQUIRE(trained.code == 0);
  CHECK_THAT(trained.output, Contains("1 epoch completed in") && Contains("best epoch: 0") &&
                                 Contains("validation of weights/best") && Contains(", fused:\n"));
  CHECK(occurrences(trained.output, "Class     Images  Instances          P          R") == 2);

  const json settings = json::parse(read_file(box.folder("train/exp") / "metrics.json")).at("settings");
  const std::string best = settings.at("weights");
  CHECK_THAT(best, Contains("exp/weights/best."));
  CHECK(settings.at("batch_size") == 4);  // Twice a rank's.
  const Outcome validated = box.run({"val", "--threads", "1"}, {"--weights", best});
  INFO(validated.output);
  REQUIRE(validated.code == 0);
  CHECK(box.numbers("train/exp") == box.numbers("val/exp"));
  CHECK(box.numbers("train/exp").at("map50").get<double>() > 0.05);

  for (const char* name : {"results", "labels", "train_batch0", "train_batch1", "val_batch0_labels", "val_batch0_pred"}) {
    INFO(name);
    CHECK(is_png(box.folder("train/exp") / (std::string(name) + ".png")));
  }
  for (const std::string& name : kCurves) {
    INFO(name);
    for (const char* run : {"train/exp", "val/exp"}) {
      CHECK(is_png(box.folder(run) / (name + ".png")));
      CHECK(fs::exists(box.folder(run) / (name + ".csv")));
    }
    CHECK(read_file(box.folder("train/exp") / (name + ".csv")) == read_file(box.folder("val/exp") / (name + ".csv")));
    CHECK(read_file(box.folder("train/exp") / (name + ".png")) == read_file(box.folder("val/exp") / (name + ".png")));
  }
  CHECK(read_file(box.folder("train/exp") / "val_batch1_pred.png") == read_file(box.folder("val/exp") / "val_batch1_pred.png"));
}

TEST_CASE("pictures change nothing of a training, and --noplots leaves none of them") {
  const TrainedSandbox box;
  REQUIRE(box.train({"--name", "drawn"}).code == 0);
  const Outcome plain = box.train({"--name", "plain", "--noplots"});
  INFO(plain.output);
  REQUIRE(plain.code == 0);
  for (const auto& entry : fs::directory_iterator(box.folder("train/plain"))) {
    INFO(entry.path());
    CHECK(entry.path().extension() != ".png");
  }
  const RunRecord drawn = read_run_record(box.folder("train/drawn") / "run.json"), bare = read_run_record(box.folder("train/plain") / "run.json");
  CHECK(drawn.train_checksums == bare.train_checksums);
  CHECK(drawn.warnings == bare.warnings);
  CHECK(box.numbers("train/drawn") == box.numbers("train/plain"));
}

TEST_CASE("a training that does not validate has no closing validation either, but pictures of its data") {
  const TrainedSandbox box;
  const Outcome outcome = box.train({"--placement", "none"});
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.output, Contains("no validation, so there is no best epoch"));
  CHECK_FALSE(fs::exists(box.folder("train/exp") / "metrics.json"));
  CHECK(is_png(box.folder("train/exp") / "labels.png"));
  CHECK(is_png(box.folder("train/exp") / "results.png"));
}
