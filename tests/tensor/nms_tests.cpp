#include <ATen/ATen.h>

#include <cmath>

#include "detect/nms.h"
#include "detect/nms_candidates.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

/// One image; rows are {cx, cy, w, h, objectness, class scores…}.
at::Tensor one_image(const std::vector<std::vector<float>>& rows) {
  at::Tensor prediction =
      at::empty({1, static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows.front().size())});
  float* out = prediction.data_ptr<float>();
  for (const auto& row : rows) out = std::copy(row.begin(), row.end(), out);
  return prediction;
}

std::vector<float> scores_of(const NmsResult& result) {
  std::vector<float> scores;
  for (const Detection& d : result.images[0]) scores.push_back(d.score);
  return scores;
}

const at::Tensor kExample = one_image({{50, 50, 40, 40, .9F, .8F, .3F},
                                       {52, 50, 40, 40, .8F, .7F, .6F},
                                       {50, 50, 40, 42, .95F, .1F, .9F},
                                       {120, 80, 30, 30, .5F, .5F, .5F},
                                       {121, 80, 30, 30, .4F, .9F, .001F},
                                       {10, 10, 5, 5, .0009F, .9F, .9F},
                                       {200, 200, 20, 20, .01F, .05F, .2F}});

}  // namespace

// Reference yolov5.md §12, "NMS".
TEST_CASE("the worked example gives YOLOv5's boxes in each of its modes") {
  const NmsResult multi = non_maximum_suppression(kExample, {});
  REQUIRE(multi.images[0].size() == 5);
  const Detection first = multi.images[0][0], third = multi.images[0][2];
  CHECK((first.x1 == 30 && first.y1 == 29 && first.x2 == 70 && first.y2 == 71 && first.cls == 1));
  CHECK(first.score == Approx(.855));
  CHECK((third.x1 == 106 && third.y1 == 65 && third.x2 == 136 && third.y2 == 95 && third.cls == 0));
  CHECK(non_maximum_suppression(kExample, {.multi_label = false}).images[0].size() == 4);
  CHECK(non_maximum_suppression(kExample, {.agnostic = true}).images[0].size() == 3);
}

TEST_CASE("fp16 predictions give the same boxes as their float32 values") {
  const NmsResult half = non_maximum_suppression(kExample.to(at::kHalf), {});
  REQUIRE(half.images[0].size() == 5);
  CHECK(half.images[0][0].score == Approx(.855).margin(1e-3));
  CHECK(half.images[0][0].x1 == 30);
}

TEST_CASE("limits on candidates and detections are applied and counted") {
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 50; ++i)
    rows.push_back({static_cast<float>(20 * i), 10, 8, 8, 1, .5F + 0.01F * static_cast<float>(i)});
  const at::Tensor prediction = one_image(rows);
  const NmsResult all = non_maximum_suppression(prediction, {.max_candidates = 50, .max_detections = 50});
  CHECK(all.images[0].size() == 50);
  CHECK((all.candidates[0] == 50 && all.candidate_limit_hits == 0 && all.detection_limit_hits == 0));
  const NmsResult limited = non_maximum_suppression(prediction, {.max_candidates = 20, .max_detections = 10});
  CHECK(limited.images[0].size() == 10);
  CHECK((limited.candidates[0] == 20 && limited.candidate_limit_hits == 1 && limited.detection_limit_hits == 1));
  CHECK(limited.images[0][0].score == Approx(.99));
}

TEST_CASE("equal scores stay in the order of the rows, however many there are") {
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 5000; ++i)
    rows.push_back({static_cast<float>(20 * (i % 250)), static_cast<float>(20 * (i / 250)), 8, 8, .5F, 1});
  const NmsResult result = non_maximum_suppression(one_image(rows), {.max_detections = 5000});
  REQUIRE(result.images[0].size() == 5000);
  for (std::size_t i = 0; i < 5000; ++i) REQUIRE(result.images[0][i].x1 == rows[i][0] - 4);
}

TEST_CASE("boxes larger than the class offset are suppressed across classes, as YOLOv5's shift does it") {
  // The shift by 7680 in x and y leaves (40000 - 7680)^2 px of overlap: IoU 0.485.
  const at::Tensor prediction = one_image({{0, 0, 40000, 40000, 1, .9F, 0}, {0, 0, 40000, 40000, 1, 0, .8F}});
  CHECK(scores_of(non_maximum_suppression(prediction, {.iou = 0.45})).size() == 1);
  CHECK(scores_of(non_maximum_suppression(prediction, {.iou = 0.5})).size() == 2);
}

TEST_CASE("images without candidates and batches without images are fine") {
  const NmsResult none = non_maximum_suppression(kExample, {.confidence = 0.99});
  CHECK((none.images.size() == 1 && none.images[0].empty() && none.candidates[0] == 0));
  CHECK(non_maximum_suppression(kExample.to(at::kHalf), {.confidence = 0.99}).images[0].empty());
  CHECK(non_maximum_suppression(kExample.narrow(0, 0, 0), {.threads = 4}).images.empty());
}

TEST_CASE("the result does not depend on the number of threads") {
  at::manual_seed(0);
  const at::Tensor prediction = at::rand({7, 300, 8}) * at::tensor({100.F, 100.F, 40.F, 40.F, 1.F, 1.F, 1.F, 1.F});
  const NmsResult one = non_maximum_suppression(prediction, {}),
                  four = non_maximum_suppression(prediction, {.threads = 4});
  CHECK(one.candidates == four.candidates);
  for (std::size_t i = 0; i < one.images.size(); ++i) {
    REQUIRE(one.images[i].size() == four.images[i].size());
    for (std::size_t k = 0; k < one.images[i].size(); ++k) {
      const Detection a = one.images[i][k], b = four.images[i][k];
      CHECK((a.x1 == b.x1 && a.y1 == b.y1 && a.x2 == b.x2 && a.y2 == b.y2 && a.score == b.score && a.cls == b.cls));
    }
  }
}

TEST_CASE("candidates picked in the form for GPUs are those of the scan of host memory, ties and NaN included") {
  at::manual_seed(3);
  at::Tensor prediction = at::rand({1, 400, 8}) * at::tensor({100.F, 100.F, 40.F, 40.F, 1.F, 1.F, 1.F, 1.F});
  prediction.slice(1, 0, 200).slice(2, 4).mul_(4).round_().div_(4);
  prediction.select(1, 201).select(1, 4).fill_(NAN);
  for (const int column : {5, 6, 7}) prediction.select(1, 202 + column).select(1, column).fill_(NAN);
  for (const bool multi_label : {true, false}) {
    const NmsOptions options{.confidence = 0.25, .multi_label = multi_label};
    const auto gathered = gather_candidates(prediction, options);
    const auto scanned = scan_candidates(prediction.const_data_ptr<float>(), 400, 3, options);
    REQUIRE(gathered[0].size() == scanned.size());
    for (std::size_t i = 0; i < scanned.size(); ++i) {
      const Detection &a = gathered[0][i], &b = scanned[i];
      REQUIRE((a.x1 == b.x1 && a.y1 == b.y1 && a.x2 == b.x2 && a.y2 == b.y2 && a.score == b.score && a.cls == b.cls));
    }
  }
}
