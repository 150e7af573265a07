// `valbench val` itself on golden/val.json's stand-alone cases: the program, not only its parts.
#include <sstream>

#include "base/subprocess.h"
#include "tests/support/catch.h"
#include "tests/support/golden_json.h"
#include "tests/support/programs.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// Runs the case and returns its run folder.
fs::path run_case(const json& golden, const fs::path& weights, const fs::path& data, int ranks, const fs::path& project,
                  const std::string& name) {
  const std::vector<std::string> argv = {built("src/main/valbench").string(), "val",
                                         "--weights", weights.string(),
                                         "--data", data.string(),
                                         "--task", golden.at("task").get<std::string>(),
                                         "--imgsz", std::to_string(golden.at("imgsz").get<int>()),
                                         "--batch-size", std::to_string(golden.at("batch_size").get<int>()),
                                         "--device", "cpu", "--ranks", std::to_string(ranks), "--save-json",
                                         "--project", project.string(), "--name", name};
  const CapturedRun run = run_captured(argv, 600);
  INFO(run.output);
  REQUIRE(run.exit.ok());
  return project / name;
}

void add_metrics(const json& golden, const json& ours, Deviations& deviations) {
  deviations.add("images, labels", ours.at("images"), golden.at("images"), 0, 0);
  deviations.add("images, labels", ours.at("labels"), golden.at("labels"), 0, 0);
  deviations.add("detections", ours.at("detections"), golden.at("total_kept_detections"), 0, 0.002);
  deviations.add("P, R", ours.at("precision"), golden.at("P"), 0.005, 0);
  deviations.add("P, R", ours.at("recall"), golden.at("R"), 0.005, 0);
  deviations.add("mAP50, mAP50-95", ours.at("map50"), golden.at("mAP50"), 0.0005, 0);
  deviations.add("mAP50, mAP50-95", ours.at("map50_95"), golden.at("mAP50_95"), 0.0005, 0);
  for (std::size_t i = 0; golden.contains("per_class") && i < golden["per_class"].size(); ++i) {
    const json& expected = golden["per_class"][i];
    const json& row = ours.at("per_class").at(expected.at("name").get<std::string>());
    deviations.add("AP of each class", row.at("map50"), expected.at("AP50"), 0.001, 0);
    deviations.add("AP of each class", row.at("map50_95"), expected.at("AP50_95"), 0.001, 0);
  }
}

/// Every row of YOLOv5's own predictions has one of ours, in the order of confidence, at most swapped with a neighbour.
void add_predictions(const json& expected, const json& ours, Deviations& deviations) {
  std::map<std::string, std::vector<json>> by_image;
  for (const json& row : ours) by_image[row.at("image_id").dump()].push_back(row);
  std::map<std::string, std::size_t> next;
  int matched = 0;
  for (const json& row : expected) {
    const std::string image = row.at("image_id").dump();
    const auto& rows = by_image[image];
    const std::size_t place = next[image]++;
    double nearest_px = 1e9, score = 0;
    for (std::size_t i = place > 3 ? place - 3 : 0; i < std::min(rows.size(), place + 4); ++i) {
      if (rows[i].at("category_id") != row.at("category_id")) continue;
      double px = 0;
      for (std::size_t k = 0; k < 4; ++k) {
        px = std::max(px, std::abs(rows[i]["bbox"][k].get<double>() - row["bbox"][k].get<double>()));
      }
      if (px < nearest_px) nearest_px = px, score = std::abs(rows[i]["score"].get<double>() - row["score"].get<double>());
    }
    matched += nearest_px <= 0.5 && score <= 0.002 ? 1 : 0;
  }
  const double missing = 1 - static_cast<double>(matched) / static_cast<double>(expected.size());
  deviations.add("detections without a counterpart (0.5 px, 0.002), share", missing, 0, 0.005, 0);
  deviations.add("number of detections", static_cast<double>(ours.size()), static_cast<double>(expected.size()), 0, 0.002);
}

}  // namespace

TEST_CASE("valbench val on the golden weights gives YOLOv5 v7.0's metrics and predictions") {
  const auto files = golden_files("val");
  if (files.empty()) VB_SKIP("needs the golden numbers at " + golden_folder().string() + "; VALBENCH_GOLDEN names another folder");
  const ScratchFolder scratch;
  for (const auto& file : files) {
    const json golden = read_json(file);
    const fs::path weights = golden_folder() / golden.at("weights").get<std::string>();
    const fs::path data = golden_folder() / ".." / "data" / golden.at("dataset").get<std::string>() / "data.yaml";
    Deviations deviations;
    int number = 0;
    for (const json& c : golden.at("standalone")) {
      if (c.at("batch_size") == 1) continue;  // The same numbers as at 8 and 32, at many times the duration.
      const int ranks = 1 + number % 2;
      const fs::path folder = run_case(c, weights, data, ranks, scratch.path(), "run" + std::to_string(number++));
      add_metrics(c, read_json(folder / "metrics.json"), deviations);
      const bool golden_predictions = c.at("task") == "val" && c.at("imgsz") == 320 && c.at("batch_size") == 32;
      if (golden_predictions) {
        REQUIRE(fs::exists(golden_folder() / "coco_predictions.json"));
        add_predictions(read_json(golden_folder() / "coco_predictions.json"),
                        read_json(folder / (weights.stem().string() + "_predictions.json")), deviations);
      }
    }
    deviations.print_and_check(file.filename().string() + " valbench val");
  }
}
