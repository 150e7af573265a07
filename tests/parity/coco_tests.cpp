// The twelve COCO numbers against pycocotools' on the predictions of YOLOv5 v7.0.
#include "metrics/coco_average_precision.h"
#include "metrics/coco_json.h"
#include "tests/support/golden_json.h"

using namespace valbench;
using namespace valbench::test;

TEST_CASE("the twelve COCO numbers equal pycocotools' on YOLOv5's predictions") {
  const auto labels = golden_folder() / "coco_gt.json", predictions = golden_folder() / "coco_predictions.json";
  const auto values = golden_folder() / "val.json";
  for (const auto& file : {labels, predictions, values}) {
    if (!std::filesystem::exists(file))
      VB_SKIP(file.string() + " is not there; set VALBENCH_GOLDEN to the golden numbers");
  }
  const nlohmann::json expected = read_json(values)["pycocotools"];
  const CocoSet set = read_coco_set(labels, predictions);
  CHECK(set.detections.size() == expected["n_predictions"].get<std::size_t>());
  const auto ours = coco_average_precision(set, 2).numbers();
  REQUIRE(expected["stats"].size() == ours.size());
  Deviations deviations;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    // The golden file rounds to ten digits.
    deviations.add(expected["stat_names"][i].get<std::string>(), ours[i], expected["stats"][i].get<double>(), 1e-9, 0);
  }
  deviations.print_and_check("coco");
  CHECK(coco_average_precision(set, 1).numbers() == ours);
}
