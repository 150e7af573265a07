#include <ATen/ATen.h>

#include "detect/anchors.h"
#include "detect/boxes.h"
#include "detect/detection_loss.h"
#include "detect/target_assignment.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

at::Tensor p5_grid_anchors() { return anchors_in_grid_units(p5_anchors(), {8, 16, 32}); }

std::vector<at::Tensor> random_levels(std::int64_t images, std::int64_t side, std::int64_t columns) {
  at::manual_seed(3);
  std::vector<at::Tensor> raw;
  for (const int stride : {8, 16, 32})
    raw.push_back(at::randn({images, 3, side / stride, side / stride, columns}).requires_grad_());
  return raw;
}

at::Tensor iou_of(std::vector<float> predicted, std::vector<float> target) {
  return complete_iou(at::tensor(predicted).view({1, 4}), at::tensor(target).view({1, 4}));
}

}  // namespace

// Reference yolov5.md §12, "CIoU".
TEST_CASE("CIoU has YOLOv5's values") {
  CHECK(iou_of({.5F, .5F, 2, 3}, {.4F, .6F, 2.5F, 2.5F}).item<double>() == Approx(0.6875790).epsilon(1e-6));
  CHECK(iou_of({0, 0, 4, 2}, {5, 5, 1, 1}).item<double>() == Approx(-0.5093036).epsilon(1e-6));
  CHECK(iou_of({.3F, -.2F, 1.5F, .7F}, {.1F, .2F, 3, 1}).item<double>() == Approx(0.1810295).epsilon(1e-6));
  CHECK(iou_of({1, 1, 2, 2}, {1, 1, 2, 2}).item<double>() == Approx(0.9999999).epsilon(1e-6));
}

TEST_CASE("gains are scaled to levels, classes and image size") {
  const LossGains gains = scaled_loss_gains(Hyperparameters(), 0.1, 4, 20, 320);
  CHECK(gains.box == Approx(0.05 * 0.75));
  CHECK(gains.cls == Approx(0.5 * 0.25 * 0.75));
  CHECK(gains.obj == Approx(0.25 * 0.75));
  CHECK(gains.label_smoothing == 0.1);
}

TEST_CASE("an integer centre is assigned to its own cell twice") {
  const at::Tensor targets = at::tensor({0.F, 0.F, .5F, .5F, .2F, .2F}).view({1, 6});
  const AssignedTargets rows = assign_targets(targets, at::tensor({1.6F, 1.6F}).view({1, 2}), 8, 8, 4);
  REQUIRE(rows.rows() == 5);
  const at::Tensor own = rows.gi.eq(4).logical_and(rows.gj.eq(4));
  CHECK(own.sum().item<int>() == 3);  // the centre, and "right" and "down", which land on it again
}

TEST_CASE("all candidates are masked into the same rows that compaction keeps") {
  at::manual_seed(1);
  const at::Tensor targets = at::rand({40, 6}) * at::tensor({4.F, 3.F, 1.F, 1.F, .6F, .6F});
  const at::Tensor anchors = p5_grid_anchors()[1];
  const AssignedTargets kept = assign_targets(targets, anchors, 6, 10, 4);
  const AssignedTargets all = assign_targets(targets, anchors, 6, 10, 4, RowCompaction::never);
  CHECK_FALSE(kept.valid.defined());
  CHECK(all.rows() == 5 * 3 * 40);
  const at::Tensor rows = all.valid.nonzero().squeeze(1);
  CHECK(at::equal(all.image.index_select(0, rows), kept.image));
  CHECK(at::equal(all.anchor.index_select(0, rows), kept.anchor));
  CHECK(at::equal(all.gj.index_select(0, rows), kept.gj));
  CHECK(at::equal(all.gi.index_select(0, rows), kept.gi));
  CHECK(at::equal(all.cls.index_select(0, rows), kept.cls));
  CHECK(at::equal(all.box.index_select(0, rows), kept.box));
  CHECK(at::equal(all.anchor_size.index_select(0, rows), kept.anchor_size));
}

TEST_CASE("targets that match no anchor, empty boxes among them, leave finite losses and gradients") {
  const at::Tensor targets = at::tensor({0.F, 0.F, .5F, .5F, 0.F, 0.F, 1.F, 1.F, .2F, .2F, .001F, .9F}).view({2, 6});
  for (const RowCompaction compaction : {RowCompaction::automatic, RowCompaction::never}) {
    const auto raw = random_levels(2, 64, 8);
    const LossResult loss = DetectionLoss(LossGains(), 3, p5_grid_anchors(), compaction)(raw, targets);
    loss.total.backward();
    CHECK(loss.items[0].item<float>() == 0);
    CHECK(loss.items[1].item<float>() > 0);
    CHECK(loss.items[2].item<float>() == 0);
    for (const at::Tensor& level : raw) {
      CHECK(level.grad().isfinite().all().item<bool>());
      CHECK(level.grad().select(4, 0).abs().sum().item<float>() == 0);
    }
  }
}

TEST_CASE("fp16 logits give float32 losses near those of float32 logits") {
  const at::Tensor targets = at::tensor({0.F, 0.F, .5F, .5F, .3F, .3F, 1.F, 2.F, .2F, .2F, .5F, .4F}).view({2, 6});
  const DetectionLoss loss(LossGains(), 3, p5_grid_anchors());
  auto raw = random_levels(2, 64, 8);
  const LossResult full = loss(raw, targets);
  for (at::Tensor& level : raw) level = level.to(at::kHalf);
  const LossResult half = loss(raw, targets);
  CHECK(half.total.scalar_type() == at::kFloat);
  CHECK(half.items.scalar_type() == at::kFloat);
  CHECK_FALSE(half.items.requires_grad());
  CHECK(at::allclose(half.items, full.items, 3e-3, 1e-4));
}
