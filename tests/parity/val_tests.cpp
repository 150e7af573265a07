// golden/val.json: validation of real weights on photographs, end to end (golden page data_training_validation.md, "val.json").
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <map>
#include <set>

#include "data/data_loader.h"
#include "detect/detection_model.h"
#include "tests/parity/golden_case.h"
#include "tests/support/catch.h"
#include "tests/support/golden_state.h"
#include "trace/tracer.h"
#include "validate/evaluator.h"

using namespace valbench;
using nlohmann::json;

namespace {

struct Scored {
  PartialScore score;
  ValidationRecord record;
  std::map<std::string, std::vector<Detection>> detections;  ///< By file name, original pixels.
};

std::unique_ptr<DetectionModel> golden_model(bool fused) {
  auto model = make_yolov5("yolov5n", 3, 0);
  const auto state = read_golden_state(golden_folder() / "yolov5n_bccd_state.json");
  REQUIRE(load_matching_state(*model, state) == static_cast<int>(state.size()));
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

Scored score_case(const json& golden, const std::string& dataset_name, const json& checkpoint) {
  const DataConfig config = read_data_config(golden_folder() / ".." / "data" / dataset_name / "data.yaml");
  const Split split = golden.at("task") == "test" ? Split::test : Split::val;
  const auto dataset = std::make_shared<YoloDataset>(load_yolo_dataset(config, split, 2));
  const auto plan = plan_of(*dataset, golden);
  const auto model = golden_model(golden.at("fused"));
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
  result.score = evaluator.score(*model, *loader, plan, [&](std::int64_t image, std::span<const Detection> detections) {
    result.detections[dataset->images[static_cast<std::size_t>(image)].file.filename()].assign(detections.begin(), detections.end());
  });
  const PartialScore parts[] = {result.score};
  result.record = summarize_score(merge_scores(parts), 2);
  return result;
}

void check_detections(const json& golden, const Scored& scored, Deviation& box, Deviation& confidence) {
  if (!golden.contains("detections_x1_y1_x2_y2_conf_cls")) return;
  for (const auto& [file, rows] : golden["detections_x1_y1_x2_y2_conf_cls"].items()) {
    const auto& ours = scored.detections.at(file);
    REQUIRE(ours.size() >= rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto& row = rows[i];
      // Confidences that agree to the last digit may swap places: look for the row among its neighbours in score.
      double best = 1e9, best_confidence = 1e9;
      for (std::size_t j = i > 3 ? i - 3 : 0; j < std::min(ours.size(), i + 4); ++j) {
        const Detection& d = ours[j];
        if (static_cast<double>(d.cls) != row[5].get<double>()) continue;
        double worst = 0;
        const double corners[] = {d.x1, d.y1, d.x2, d.y2};
        for (std::size_t c = 0; c < 4; ++c) {
          const double expected = row[c].get<double>();
          // Large boxes 1e-4 relative: expressed in the 1e-3 px unit of the tolerance.
          worst = std::max(worst, std::abs(corners[c] - expected) / std::max(1.0, std::abs(expected) * 1e-4 / 1e-3));
        }
        if (worst < best) {
          best = worst;
          best_confidence = std::abs(d.score - row[4].get<double>());
        }
      }
      box.add(best);
      confidence.add(best_confidence);
    }
  }
}

}  // namespace

TEST_CASE("validation of real photographs gives YOLOv5 v7.0's metrics, detections and losses") {
  if (!golden_available()) VB_SKIP(golden_missing());
  for (const auto& file : golden_files("val", ".json")) {
    const json golden = read_json(file);
    for (const char* group : {"standalone", "rect_off", "in_training_style"}) {
      Deviation pr("P, R", 0.005), map("mAP50, mAP50-95", 0.001), kept("total kept, relative", 0.002), losses("loss, relative", 1e-4);
      Deviation per_class("AP per class", 0.001), conf_sum("sum of conf, relative", 1e-5), box("box px", 1e-3), conf("confidence", 1e-5);
      for (const json& c : golden.at(group)) {
        const Scored s = score_case(c, golden.at("dataset"), golden.at("checkpoint"));
        CHECK(s.record.images == c.at("images").get<std::int64_t>());
        CHECK(s.record.labels == c.at("labels").get<std::int64_t>());
        pr.add(s.record.precision - c.at("P").get<double>());
        pr.add(s.record.recall - c.at("R").get<double>());
        map.add(s.record.map50 - c.at("mAP50").get<double>());
        map.add(s.record.map50_95 - c.at("mAP50_95").get<double>());
        kept.add_relative(static_cast<double>(s.record.detections), c.at("total_kept_detections").get<double>());
        double sum = 0;
        for (const auto& d : s.score.matches.detections) sum += static_cast<double>(d.score);
        if (c.contains("sum_of_conf")) conf_sum.add_relative(sum, c["sum_of_conf"].get<double>());
        if (c.contains("per_class")) {
          for (std::size_t i = 0; i < c["per_class"].size(); ++i) {
            per_class.add(s.record.classes.at(i).map50 - c["per_class"][i]["AP50"].get<double>());
            per_class.add(s.record.classes.at(i).map50_95 - c["per_class"][i]["AP50_95"].get<double>());
          }
        }
        if (!c.at("val_loss_box_obj_cls").is_null()) {
          for (std::size_t i = 0; i < 3; ++i) losses.add_relative(s.record.loss[i], c["val_loss_box_obj_cls"][i].get<double>());
        }
        check_detections(c, s, box, conf);
      }
      for (const Deviation* d : {&pr, &map, &per_class, &kept, &losses, &box, &conf}) d->check(file, group);
      conf_sum.print(file, group);
    }
  }
}

TEST_CASE("the decoded output of one photograph equals YOLOv5 v7.0's") {
  if (!golden_available()) VB_SKIP(golden_missing());
  const c10::NoGradGuard no_gradients;
  for (const auto& file : golden_files("val", ".json")) {
    const json golden = read_json(file);
    Deviation rows("decoded rows (1e-3 px or 1e-4 relative)", 1.0), conf("confidence", 1e-5);
    for (const json& c : golden.at("forward")) {
      const DataConfig config = read_data_config(golden_folder() / ".." / "data" / golden["dataset"] / "data.yaml");
      const auto dataset = std::make_shared<YoloDataset>(load_yolo_dataset(config, Split::val, 2));
      BatchPlan plan{0, {}, c["input"]["shape_hw"][0], c["input"]["shape_hw"][1]};
      for (std::size_t i = 0; i < dataset->images.size(); ++i) {
        if (dataset->images[i].file.filename() == c["file"]) plan.images = {static_cast<std::int64_t>(i)};
      }
      REQUIRE(plan.images.size() == 1);
      const auto loader = make_validation_loader(dataset, {plan}, 1, false, false);
      loader->start(0);
      const Batch batch = *loader->next();
      const auto model = golden_model(c.at("fused"));
      const at::Tensor out = model->decode(model->forward(batch.images.to(at::kFloat).div(255), false));
      REQUIRE(out.sizes().vec() == c["decoded_shape"].get<std::vector<std::int64_t>>());
      for (const json& row : c["sample_rows"]) {
        const at::Tensor ours = out[0][row[0].get<std::int64_t>()].contiguous();
        const float* v = ours.const_data_ptr<float>();
        for (std::size_t i = 0; i < 8; ++i) {
          const double expected = row[i + 1].get<double>();
          const double difference = std::abs(v[i] - expected);
          if (i < 4) {
            rows.add(difference / std::max(1e-3, 1e-4 * std::abs(expected)));
          } else {
            conf.add(difference);
          }
        }
      }
    }
    rows.check(file, "forward");
    conf.check(file, "forward");
  }
}
