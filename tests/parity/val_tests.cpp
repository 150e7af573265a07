// golden/val.json: validation of real weights on photographs, end to end (golden page data_training_validation.md, "val.json").
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <map>
#include <set>

#include "data/data_loader.h"
#include "detect/detection_model.h"
#include "detect/weights/model_weights.h"
#include "tests/support/catch.h"
#include "tests/support/golden_json.h"
#include "trace/tracer.h"
#include "validate/evaluator.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

struct Scored {
  PartialScore score;
  ValidationRecord record;
  std::map<std::string, std::vector<Detection>> detections;  ///< By file name, original pixels.
};

std::unique_ptr<DetectionModel> golden_model(const std::string& file, bool fused) {
  auto model = make_yolov5("yolov5n", 3, 0);
  load_model_weights(golden_folder() / file, {.ema = true, .whole = true}, *model);
  if (fused) model->fuse();
  return model;
}

/// The batches that the golden case lists by name, or our own plan.
std::vector<BatchPlan> plan_of(const YoloDataset& dataset, const json& golden) {
  const auto shape = golden.at("rect").get<bool>() ? BatchShape::rect : BatchShape::square;
  const int batch_size = golden.at("batch_size");
  auto plan = plan_validation_batches(dataset, {}, golden.at("imgsz"), batch_size, 32, shape);
  if (golden.contains("batch_image_order")) {
    // Equal aspect ratios come in any order in v7.0; the mean of batch losses depends on it.
    std::map<std::string, std::int64_t> index;
    for (std::size_t i = 0; i < dataset.images.size(); ++i) index[dataset.images[i].file.filename()] = static_cast<std::int64_t>(i);
    std::size_t next = 0;
    for (BatchPlan& batch : plan) {
      for (std::int64_t& image : batch.images) image = index.at(golden["batch_image_order"][next++]);
    }
  }
  return plan;
}

Scored score_case(const json& golden, const json& page) {
  const std::string dataset_name = page.at("dataset");
  const json& checkpoint = page.at("checkpoint");
  const DataConfig config = read_data_config(golden_folder() / ".." / "data" / dataset_name / "data.yaml");
  const Split split = golden.at("task") == "test" ? Split::test : Split::val;
  const auto dataset = std::make_shared<YoloDataset>(load_yolo_dataset(config, split, 2));
  const auto plan = plan_of(*dataset, golden);
  const auto model = golden_model(page.at("weights"), golden.at("fused"));
  std::optional<DetectionLoss> loss;
  if (!golden.at("val_loss_box_obj_cls").is_null()) {
    const json& h = checkpoint.at("hyp_scaled");
    LossGains gains{h["box"], h["cls"], h["obj"], h["cls_pw"], h["obj_pw"], h["anchor_t"], h["fl_gamma"], h["label_smoothing"]};
    loss.emplace(gains, 3, model->anchors());
  }
  Tracer tracer;
  Evaluator evaluator(loss, {}, tracer);
  const auto loader = make_validation_loader(dataset, plan, 2, false, false);
  Scored result;
  result.score = evaluator.score(*model, *loader, plan, [&](std::int64_t image, std::span<const Detection> detections, std::span<const Label>) {
    result.detections[dataset->images[static_cast<std::size_t>(image)].file.filename()].assign(detections.begin(), detections.end());
  });
  const PartialScore parts[] = {result.score};
  result.record = summarize_score(merge_scores(parts), 2);
  return result;
}

/// Our detection that is nearest to a golden row: confidences that agree to the last digit may swap places.
const Detection& nearest(const std::vector<Detection>& ours, std::size_t place, const json& row) {
  const Detection* best = &ours.at(place);
  double smallest = 1e9;
  for (std::size_t j = place > 3 ? place - 3 : 0; j < std::min(ours.size(), place + 4); ++j) {
    const double distance = std::abs(ours[j].x1 - row[0].get<double>()) + std::abs(ours[j].y1 - row[1].get<double>()) +
                            std::abs(ours[j].cls - row[5].get<double>()) * 1e6;
    if (distance < smallest) {
      smallest = distance;
      best = &ours[j];
    }
  }
  return *best;
}

void add_detections(const json& golden, const Scored& scored, Deviations& deviations) {
  if (!golden.contains("detections_x1_y1_x2_y2_conf_cls")) return;
  for (const auto& [file, rows] : golden["detections_x1_y1_x2_y2_conf_cls"].items()) {
    const auto& ours = scored.detections.at(file);
    REQUIRE(ours.size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const json& row = rows[i];
      const Detection& d = nearest(ours, i, row);
      deviations.add("detections, class", d.cls, row[5], 0, 0);
      const double corners[] = {d.x1, d.y1, d.x2, d.y2};
      for (std::size_t c = 0; c < 4; ++c) deviations.add("detections, px", corners[c], row[c], 1e-3, 1e-4);
      deviations.add("detections, confidence", d.score, row[4], 1e-5, 0);
    }
  }
}

void add_metrics(const json& golden, const Scored& s, Deviations& deviations) {
  deviations.add("images", static_cast<double>(s.record.images), golden.at("images"), 0, 0);
  deviations.add("labels", static_cast<double>(s.record.labels), golden.at("labels"), 0, 0);
  deviations.add("P, R", s.record.precision, golden.at("P"), 0.005, 0);
  deviations.add("P, R", s.record.recall, golden.at("R"), 0.005, 0);
  deviations.add("mAP50, mAP50-95", s.record.map50, golden.at("mAP50"), 0.001, 0);
  deviations.add("mAP50, mAP50-95", s.record.map50_95, golden.at("mAP50_95"), 0.001, 0);
  deviations.add("total kept", static_cast<double>(s.record.detections), golden.at("total_kept_detections"), 0, 0.002);
  for (std::size_t i = 0; golden.contains("per_class") && i < golden["per_class"].size(); ++i) {
    deviations.add("AP of each class", s.record.classes.at(i).map50, golden["per_class"][i]["AP50"], 0.001, 0);
    deviations.add("AP of each class", s.record.classes.at(i).map50_95, golden["per_class"][i]["AP50_95"], 0.001, 0);
  }
  const json& losses = golden.at("val_loss_box_obj_cls");
  for (std::size_t i = 0; !losses.is_null() && i < 3; ++i) {
    deviations.add("validation loss", s.record.loss[i], losses[i], 0, 1e-4);
  }
}

}  // namespace

TEST_CASE("validation of real photographs gives YOLOv5 v7.0's metrics, detections and losses") {
  const auto files = golden_files("val");
  if (files.empty()) VB_SKIP("needs the golden numbers at " + golden_folder().string() + "; VALBENCH_GOLDEN names another folder");
  for (const auto& file : files) {
    const json golden = read_json(file);
    for (const char* group : {"standalone", "rect_off", "in_training_style"}) {
      Deviations deviations;
      for (const json& c : golden.at(group)) {
        const Scored scored = score_case(c, golden);
        add_metrics(c, scored, deviations);
        add_detections(c, scored, deviations);
      }
      deviations.print_and_check(file.filename().string() + " " + group);
    }
  }
}

TEST_CASE("the decoded output of one photograph equals YOLOv5 v7.0's") {
  const auto files = golden_files("val");
  if (files.empty()) VB_SKIP("needs the golden numbers at " + golden_folder().string() + "; VALBENCH_GOLDEN names another folder");
  const c10::NoGradGuard no_gradients;
  for (const auto& file : files) {
    const json golden = read_json(file);
    Deviations deviations;
    const DataConfig config = read_data_config(golden_folder() / ".." / "data" / golden["dataset"] / "data.yaml");
    const auto dataset = std::make_shared<YoloDataset>(load_yolo_dataset(config, Split::val, 2));
    for (const json& c : golden.at("forward")) {
      BatchPlan plan{0, {}, c["input"]["shape_hw"][0], c["input"]["shape_hw"][1]};
      for (std::size_t i = 0; i < dataset->images.size(); ++i) {
        if (dataset->images[i].file.filename().string() == c["file"].get<std::string>()) plan.images = {static_cast<std::int64_t>(i)};
      }
      REQUIRE(plan.images.size() == 1);
      const auto loader = make_validation_loader(dataset, {plan}, 1, false, false);
      loader->start(0);
      const Batch batch = *loader->next();
      const auto model = golden_model(golden.at("weights"), c.at("fused"));
      const at::Tensor out = model->decode(model->forward(batch.images.to(at::kFloat).div(255), false));
      REQUIRE(out.sizes().vec() == c["decoded_shape"].get<std::vector<std::int64_t>>());
      for (const json& row : c["sample_rows"]) {
        const at::Tensor ours = out[0][row[0].get<std::int64_t>()].contiguous();
        const float* v = ours.const_data_ptr<float>();
        for (std::size_t i = 0; i < 4; ++i) deviations.add("decoded box, px", v[i], row[i + 1], 1e-3, 1e-4);
        for (std::size_t i = 4; i < 8; ++i) deviations.add("decoded confidence", v[i], row[i + 1], 1e-5, 0);
      }
    }
    deviations.print_and_check(file.filename().string() + " forward");
  }
}
