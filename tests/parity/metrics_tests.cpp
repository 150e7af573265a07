#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "metrics/confusion_matrix.h"
#include "metrics/matching.h"
#include "metrics/mean_average_precision.h"
#include "tests/support/catch.h"
#include "tests/support/deviation_report.h"

using namespace valbench;
using nlohmann::json;

namespace {

std::filesystem::path golden_folder() {
  const char* golden = std::getenv("VALBENCH_GOLDEN");
  const char* source = std::getenv("VALBENCH_SOURCE");
  return std::filesystem::path(source != nullptr ? source : ".") /
         (golden != nullptr && *golden != '\0' ? golden : "../shared/golden");
}

std::vector<std::filesystem::path> metrics_files() {
  std::vector<std::filesystem::path> files;
  if (!std::filesystem::is_directory(golden_folder())) return files;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("metrics") && name.ends_with(".json")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

struct ImageCase {
  std::vector<Detection> detections;
  std::vector<Label> labels;
};

std::vector<ImageCase> images_of(const json& golden, bool tied) {
  std::vector<ImageCase> images;
  for (const json& image : golden["images"]) {
    ImageCase& out = images.emplace_back();
    for (const json& row : image["labels"]) {
      out.labels.push_back(
          {row[0].get<float>(), row[1].get<float>(), row[2].get<float>(), row[3].get<float>(), row[4].get<float>()});
    }
    std::size_t d = 0;
    for (const json& row : image["detections"]) {
      const float score = (tied ? image["conf_tied"][d++] : row[4]).get<float>();
      out.detections.push_back({row[0].get<float>(), row[1].get<float>(), row[2].get<float>(), row[3].get<float>(),
                                score, row[5].get<float>()});
    }
  }
  return images;
}

struct Worst {
  double deviation = 0;
  std::string what = "none";
  void see(const std::string& name, double ours, const json& theirs) {
    const double difference = std::abs(ours - theirs.get<double>());
    if (!(difference <= deviation)) deviation = difference, what = name;
  }
};

std::vector<int> hits_per_threshold(const MatchedDetection* begin, const MatchedDetection* end) {
  std::vector<int> hits(kIouThresholds);
  for (; begin != end; ++begin) {
    for (int t = 0; t < kIouThresholds; ++t) hits[static_cast<std::size_t>(t)] += begin->correct >> t & 1;
  }
  return hits;
}

void check_counts(const json& golden, const json& expected, const MatchSet& matches) {
  CHECK(matches.detections.size() == expected["detections_total"].get<std::size_t>());
  CHECK(matches.label_classes.size() == expected["labels_total"].get<std::size_t>());
  const MatchedDetection* at = matches.detections.data();
  CHECK(hits_per_threshold(at, at + matches.detections.size()) ==
        expected["true_positives_total"].get<std::vector<int>>());
  const json& first = expected["true_positives_per_image_first20"];
  for (std::size_t i = 0; i < first.size(); ++i) {
    INFO("image " << i);
    CHECK(hits_per_threshold(at, at + matches.images[i].detections) == first[i].get<std::vector<int>>());
    at += matches.images[i].detections;
  }
  const auto classes = golden["nc"].get<std::size_t>();
  for (std::size_t c = 0; c < classes; ++c) {
    std::vector<MatchedDetection> of_class;
    std::copy_if(matches.detections.begin(), matches.detections.end(), std::back_inserter(of_class),
                 [&](const MatchedDetection& d) { return d.cls == c; });
    INFO("class " << c);
    CHECK(of_class.size() == expected["predictions_per_class"][c].get<std::size_t>());
    CHECK(std::count(matches.label_classes.begin(), matches.label_classes.end(), c) ==
          expected["labels_per_class"][c].get<int>());
    CHECK(hits_per_threshold(of_class.data(), of_class.data() + of_class.size()) ==
          expected["true_positives_per_predicted_class"][c].get<std::vector<int>>());
  }
}

void check_scores(const json& expected, const MeanAveragePrecision& ours, const std::string& name) {
  CHECK(ours.best_f1_index == expected["max_f1_index_of_1000"].get<int>());
  REQUIRE(ours.classes.size() == expected["classes"].size());
  Worst worst;
  for (std::size_t c = 0; c < ours.classes.size(); ++c) {
    const ClassAveragePrecision& mine = ours.classes[c];
    const json& theirs = expected["classes"][c];
    const std::string cls = "class " + std::to_string(mine.cls) + ' ';
    INFO(cls);
    CHECK(mine.cls == theirs["cls"].get<int>());
    CHECK(mine.true_positives == theirs["tp"].get<double>());
    CHECK(mine.false_positives == theirs["fp"].get<double>());
    worst.see(cls + "precision", mine.precision, theirs["precision"]);
    worst.see(cls + "recall", mine.recall, theirs["recall"]);
    worst.see(cls + "f1", mine.f1, theirs["f1"]);
    worst.see(cls + "ap50", mine.map50(), theirs["ap50"]);
    worst.see(cls + "ap50_95", mine.map50_95(), theirs["ap50_95"]);
    for (std::size_t t = 0; t < kIouThresholds; ++t) worst.see(cls + "ap", mine.ap[t], theirs["ap_per_iou"][t]);
  }
  worst.see("mean precision", ours.precision, expected["mean"]["precision"]);
  worst.see("mean recall", ours.recall, expected["mean"]["recall"]);
  worst.see("map50", ours.map50, expected["mean"]["map50"]);
  worst.see("map50_95", ours.map50_95, expected["mean"]["map50_95"]);
  test::report_deviation(name + ": P, R, F1 and AP (worst: " + worst.what + ")", worst.deviation, 1e-6);
  CHECK(worst.deviation <= 1e-6);
}

void check_confusion(const json& golden, const json& expected, const std::vector<ImageCase>& images) {
  const int classes = golden["nc"].get<int>();
  ConfusionMatrix matrix(classes);
  for (const ImageCase& image : images) matrix.add_image(image.detections, image.labels);
  for (int p = 0; p <= classes; ++p) {
    for (int t = 0; t <= classes; ++t) {
      INFO("predicted " << p << ", true " << t);
      CHECK(static_cast<double>(matrix.count(p, t)) ==
            expected[static_cast<std::size_t>(p)][static_cast<std::size_t>(t)].get<double>());
    }
  }
}

}  // namespace

TEST_CASE("matching, AP, P, R, F1 and the confusion matrix equal YOLOv5's on every metrics*.json") {
  const auto files = metrics_files();
  if (files.empty())
    VB_SKIP("no metrics*.json in " + golden_folder().string() + "; set VALBENCH_GOLDEN to the golden numbers");
  for (const auto& file : files) {
    const json golden = json::parse(read_file(file));
    for (const auto& [name, expected] : golden["results"].items()) {
      INFO(file.string() + ' ' + name);
      const std::vector<ImageCase> images = images_of(golden, name == "tied_scores_stable_sort");
      std::vector<ImageBoxes> boxes;
      for (std::size_t i = 0; i < images.size(); ++i) {
        boxes.push_back({static_cast<std::int64_t>(i), images[i].detections, images[i].labels});
      }
      const MatchSet matches = match_set(boxes, 2);
      check_counts(golden, expected, matches);
      check_scores(expected, mean_average_precision(matches, 2), file.filename().string() + ' ' + name);
      if (expected.contains("confusion_matrix")) check_confusion(golden, expected["confusion_matrix"], images);
    }
  }
}
