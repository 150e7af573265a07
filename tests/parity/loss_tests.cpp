// The training loss against loss*.json: formula-made predictions, targets from the file (golden functions.md §2).
#include <ATen/ATen.h>

#include "detect/anchors.h"
#include "detect/detection_loss.h"
#include "detect/target_assignment.h"
#include "tests/support/golden_json.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

at::Tensor formula_level(const json& golden, const json& f, std::size_t level) {
  at::Tensor raw = at::empty(golden["shape"].get<std::vector<std::int64_t>>(), at::kFloat);
  const double a = f["A"], w1 = f["w1"], p1 = f["p1"], b = f["B"], w2 = f["w2"], p2 = f["p2"], c = f["C"];
  const auto l = static_cast<double>(level);
  for (std::int64_t k = 0; k < raw.numel(); ++k) {
    const auto x = static_cast<double>(k);
    raw.data_ptr<float>()[k] = static_cast<float>(a * std::sin(w1 * x + p1 * l) - b * std::cos(w2 * x + p2 * l) + c);
  }
  return raw.requires_grad_();
}

at::Tensor targets_of(const json& golden) {
  at::Tensor targets = at::empty({static_cast<std::int64_t>(golden.size()), 6}, at::kFloat);
  float* out = targets.data_ptr<float>();
  for (const json& row : golden) {
    for (const json& value : row) *out++ = value.get<float>();
  }
  return targets;
}

LossGains gains_of(const json& golden) {
  const json& h = golden["hyp_unscaled"];
  Hyperparameters hyp;
  hyp.box = h["box"], hyp.cls = h["cls"], hyp.obj = h["obj"], hyp.cls_pw = h["cls_pw"], hyp.obj_pw = h["obj_pw"];
  hyp.anchor_t = h["anchor_t"], hyp.fl_gamma = h["fl_gamma"];
  return scaled_loss_gains(hyp, golden["label_smoothing"], golden["levels_n"], golden["nc"],
                           golden["imgsz_for_obj_scaling"]);
}

std::int64_t total_of(const at::Tensor& t) { return t.sum().item<std::int64_t>(); }

void compare_assignment(const AssignedTargets& rows, const json& golden, Deviations& deviations) {
  REQUIRE(rows.rows() == golden["matches"].get<std::int64_t>());
  if (rows.rows() == 0) return;
  const at::Tensor cells = at::stack({rows.image, rows.anchor, rows.gj, rows.gi}, 1);
  CHECK(std::get<0>(at::unique_dim(cells, 0)).size(0) == golden["distinct_cells"].get<std::int64_t>());
  const json& sums = golden["index_sums"];
  CHECK(total_of(rows.image) == sums["image"].get<std::int64_t>());
  CHECK(total_of(rows.anchor) == sums["anchor"].get<std::int64_t>());
  CHECK(total_of(rows.gj) == sums["gj"].get<std::int64_t>());
  CHECK(total_of(rows.gi) == sums["gi"].get<std::int64_t>());
  CHECK(total_of(rows.cls) == sums["cls"].get<std::int64_t>());
  for (std::size_t column = 0; column < 4; ++column) {
    deviations.add("box targets",
                   rows.box.select(1, static_cast<std::int64_t>(column)).to(at::kDouble).sum().item<double>(),
                   golden["tbox_column_sums"][column], 1e-5, 1e-5);
  }
  std::int64_t i = 0;
  for (const json& row : golden["first_rows_image_anchor_gj_gi_cls"]) {
    const at::Tensor columns[] = {rows.image, rows.anchor, rows.gj, rows.gi, rows.cls};
    for (std::size_t c = 0; c < 5; ++c) CHECK(columns[c][i].item<std::int64_t>() == row[c].get<std::int64_t>());
    ++i;
  }
}

void compare_gradient(const at::Tensor& gradient, const json& golden, Deviations& deviations) {
  const double l2 = golden["grad_l2"];
  deviations.add("gradient l2", gradient.to(at::kDouble).square().sum().sqrt().item<double>(), l2, 0, 1e-4);
  deviations.add("gradient sum", gradient.to(at::kDouble).abs().sum().item<double>(), golden["grad_sum_abs"], 0, 1e-4);
  const at::Tensor flat = gradient.flatten();
  for (const json& sample : golden["grad_samples"]) {
    deviations.add("gradient samples", flat[sample[0].get<std::int64_t>()].item<double>(), sample[1], 1e-6 * l2, 1e-4);
  }
}

at::Tensor anchors_of(const json& golden) {
  return anchors_in_grid_units(golden["levels_n"] == 3 ? p5_anchors() : p6_anchors(),
                               golden["strides"].get<std::vector<int>>());
}

void compare_case(const json& golden, const json& formula) {
  Deviations deviations;
  const at::Tensor anchors = anchors_of(golden), targets = targets_of(golden["targets"]);
  const LossGains gains = gains_of(golden);
  for (const auto& [name, value] : {std::pair{"box", gains.box}, {"cls", gains.cls}, {"obj", gains.obj}}) {
    deviations.add("gains", value, golden["hyp_scaled"][name], 0, 1e-8);
  }
  std::vector<at::Tensor> raw;
  for (std::size_t level = 0; level < golden["levels"].size(); ++level) {
    const json& expected = golden["levels"][level];
    raw.push_back(formula_level(expected, formula, level));
    const std::int64_t ny = raw[level].size(2), nx = raw[level].size(3);
    CHECK(ny * golden["strides"][level].get<std::int64_t>() == golden["image_h"].get<std::int64_t>());
    CHECK(nx * golden["strides"][level].get<std::int64_t>() == golden["image_w"].get<std::int64_t>());
    if (targets.size(0) == 0) continue;
    compare_assignment(assign_targets(targets, anchors[static_cast<std::int64_t>(level)], ny, nx, gains.anchor_t),
                       expected, deviations);
  }
  // Both forms: with the matched rows only, as on CPUs, and with all candidates masked, as on GPUs.
  for (const RowCompaction compaction : {RowCompaction::automatic, RowCompaction::never}) {
    const LossResult loss = DetectionLoss(gains, golden["nc"], anchors, compaction)(raw, targets);
    loss.total.backward();
    deviations.add("loss", loss.total.item<double>(), golden["total"], 0, 1e-5);
    deviations.add("loss", loss.items[0].item<double>(), golden["lbox"], 0, 1e-5);
    deviations.add("loss", loss.items[1].item<double>(), golden["lobj"], 0, 1e-5);
    deviations.add("loss", loss.items[2].item<double>(), golden["lcls"], 0, 1e-5);
    for (std::size_t level = 0; level < raw.size(); ++level) {
      compare_gradient(raw[level].grad(), golden["levels"][level], deviations);
      raw[level].mutable_grad().reset();
    }
  }
  deviations.print_and_check(golden["name"]);
}

}  // namespace

TEST_CASE("the training loss, its target assignment and its gradients agree with YOLOv5's") {
  const auto files = golden_files("loss");
  if (files.empty()) VB_SKIP("no loss*.json in " + golden_folder().string() + "; set VALBENCH_GOLDEN");
  for (const auto& file : files) {
    const json golden = read_json(file);
    for (const json& one : golden["cases"]) {
      INFO(file << ": " << one["name"]);
      compare_case(one, golden["formula"]);
    }
  }
}
