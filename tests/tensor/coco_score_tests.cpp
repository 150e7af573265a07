// COCO's twelve numbers from the files that --save-json writes.
#include "validate/coco_score.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
using nlohmann::json;

namespace {

YoloDataset two_images() {
  YoloDataset set;
  set.images.push_back({"images/000007.jpg", 100, 200, {{0, 0.5F, 0.5F, 0.25F, 0.5F}, {1, 0.25F, 0.25F, 0.125F, 0.25F}}, {}});
  set.images.push_back({"images/000012.jpg", 400, 400, {{1, 0.5F, 0.5F, 0.5F, 0.5F}}, {}});
  set.classes = 2;
  set.names = {"cat", "dog"};
  return set;
}

/// The labels as if they had been detected.
std::string perfect_predictions(const json& truth) {
  json all = json::array();
  for (const auto& label : truth.at("annotations")) {
    all.push_back({{"image_id", label.at("image_id")}, {"category_id", label.at("category_id")}, {"bbox", label.at("bbox")}, {"score", 0.9}});
  }
  return all.dump();
}

}  // namespace

TEST_CASE("labels become a COCO file: pixels, areas, ids from the images' names") {
  const json truth = json::parse(coco_ground_truth(two_images(), false));
  CHECK(truth.at("images").at(1) == json({{"id", 12}, {"file_name", "000012.jpg"}, {"width", 400}, {"height", 400}}));
  CHECK(truth.at("annotations").size() == 3);
  CHECK(truth.at("annotations").at(0) ==
        json({{"id", 1}, {"image_id", 7}, {"category_id", 0}, {"bbox", {75.0, 25.0, 50.0, 50.0}}, {"area", 2500.0}, {"iscrowd", 0}}));
  CHECK(truth.at("categories").at(1) == json({{"id", 1}, {"name", "dog"}}));
  CHECK(coco_category(11, true) == 13);
  CHECK(coco_category(79, true) == 90);
  CHECK(coco_category(79, false) == 79);
}

TEST_CASE("labels that are all found score 1, and sizes without labels have no number") {
  const ScratchFolder folder;
  const YoloDataset set = two_images();
  const auto predictions = folder.write("best_predictions.json", perfect_predictions(json::parse(coco_ground_truth(set, false))));
  const CocoScore score = score_coco(predictions, set, {}, folder.path(), 1);
  CHECK(score.reason.empty());
  CHECK(score.ground_truth == "coco_ground_truth.json");
  const json numbers = coco_score_to_json(score);
  CHECK(numbers.at("ap").get<double>() == Approx(1).margin(1e-12));
  CHECK(numbers.at("ar100").get<double>() == Approx(1).margin(1e-12));
  CHECK(numbers.at("ap_large").get<double>() == Approx(1).margin(1e-12));
  CHECK(numbers.size() == 13);
  // 25 x 25 px is small, 50 x 50 medium.
  YoloDataset large = two_images();
  large.images.erase(large.images.begin());
  const auto few = folder.write("few.json", perfect_predictions(json::parse(coco_ground_truth(large, false))));
  CHECK(coco_score_to_json(score_coco(few, large, {}, folder.path(), 1)).at("ap_small").is_null());
}

TEST_CASE("two images of one stem have no COCO numbers, with the reason") {
  const ScratchFolder folder;
  YoloDataset set = two_images();
  set.images[1].file = "other/000007.png";
  const CocoScore score = score_coco(folder.write("p.json", "[]"), set, {}, folder.path(), 1);
  CHECK_THAT(score.reason, Catch::StartsWith("not measured (") && Contains("the id 7 occurs twice"));
  CHECK_FALSE(coco_score_to_json(score).contains("ap"));
}
