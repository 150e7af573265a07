#include "detect/detection_loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "detect/boxes.h"

namespace valbench {
namespace {

/// Sum over the levels so far; each is a float32 scalar.
struct LossParts {
  at::Tensor box, obj, cls;
};

double level_balance(std::size_t level, std::size_t levels) {
  constexpr double kThree[] = {4.0, 1.0, 0.4}, kOther[] = {4.0, 1.0, 0.25, 0.06, 0.02};
  return levels == 3 ? kThree[level] : kOther[level];
}

// Element-wise BCE on logits with weight pos_weight on positives, focal when gamma > 0. float32 in and out.
at::Tensor binary_loss(const at::Tensor& logits, const at::Tensor& target, double pos_weight, double gamma) {
  at::Tensor weight;
  if (pos_weight != 1.0) weight = at::full({1}, pos_weight, logits.options());
  const at::Tensor loss = at::binary_cross_entropy_with_logits(logits, target, {}, weight, at::Reduction::None);
  if (gamma <= 0) return loss;
  const at::Tensor p = at::sigmoid(logits);
  const at::Tensor p_true = target * p + (1 - target) * (1 - p);
  return loss * (target * 0.25 + (1 - target) * 0.75) * (1 - p_true).pow(gamma);
}

/// Mean over the matched rows of values (rows) or (rows, columns); 0 when none is, without asking the device.
at::Tensor mean_over_valid(const at::Tensor& values, const at::Tensor& valid) {
  if (!valid.defined()) return values.mean();
  const std::int64_t columns = values.numel() / values.size(0);
  const at::Tensor mask = valid.to(at::kFloat);
  const at::Tensor kept = (values.view({-1, columns}) * mask.unsqueeze(1)).sum();
  return kept / (mask.sum().clamp_min(1) * static_cast<double>(columns));
}

// The objectness target: each matched cell holds its row's value, and of several rows the last wins. Index assignment
// has no defined order on GPUs; the highest row number of a cell is well defined.
at::Tensor objectness_target(const AssignedTargets& matched, const at::Tensor& values, const at::Tensor& level) {
  const std::int64_t na = level.size(1), ny = level.size(2), nx = level.size(3), cells = level.size(0) * na * ny * nx;
  at::Tensor row = at::arange(matched.rows(), matched.image.options());
  if (matched.valid.defined()) row.masked_fill_(matched.valid.logical_not(), -1);
  const at::Tensor cell = ((matched.image * na + matched.anchor) * ny + matched.gj) * nx + matched.gi;
  const at::Tensor winner = at::full({cells}, -1, row.options()).scatter_reduce_(0, cell, row, "amax");
  const at::Tensor target = values.index_select(0, winner.clamp_min(0)).masked_fill_(winner < 0, 0);
  return target.view({level.size(0), na, ny, nx});
}

at::Tensor class_loss(const at::Tensor& logits, const AssignedTargets& matched, const LossGains& gains) {
  const double positive = 1 - gains.label_smoothing / 2, negative = gains.label_smoothing / 2;
  const at::Tensor target = at::full_like(logits, negative).scatter_(1, matched.cls.unsqueeze(1), positive);
  return mean_over_valid(binary_loss(logits, target, gains.cls_pw, gains.fl_gamma), matched.valid);
}

// Box and class loss of the matched rows are added to `parts`; returns the objectness target.
at::Tensor matched_loss(const at::Tensor& level, const AssignedTargets& matched, const LossGains& gains, int classes,
                        LossParts& parts) {
  const at::Tensor logits = level.index({matched.image, matched.anchor, matched.gj, matched.gi});
  // Under AMP the logits are fp16: sigmoid and its scaling stay there, everything from the square on is float32 (§2.6).
  const at::Tensor s = at::sigmoid(logits.narrow(1, 0, 4)) * 2;
  const at::Tensor xy = (s.narrow(1, 0, 2) - 0.5).to(at::kFloat);
  const at::Tensor wh = s.narrow(1, 2, 2).to(at::kFloat).square() * matched.anchor_size;
  const at::Tensor iou = complete_iou(at::cat({xy, wh}, 1), matched.box);
  parts.box = parts.box + mean_over_valid(1 - iou, matched.valid);
  if (classes > 1) parts.cls = parts.cls + class_loss(logits.narrow(1, 5, classes).to(at::kFloat), matched, gains);
  const at::NoGradGuard no_grad;
  return objectness_target(matched, iou.detach().clamp_min(0).to(level.scalar_type()), level);
}

}  // namespace

LossGains scaled_loss_gains(const Hyperparameters& hyp, double label_smoothing, int levels, int classes, int imgsz) {
  const double per_level = 3.0 / levels, side = imgsz / 640.0;
  return {.box = hyp.box * per_level,
          .cls = hyp.cls * classes / 80.0 * per_level,
          .obj = hyp.obj * side * side * per_level,
          .cls_pw = hyp.cls_pw,
          .obj_pw = hyp.obj_pw,
          .anchor_t = hyp.anchor_t,
          .fl_gamma = hyp.fl_gamma,
          .label_smoothing = label_smoothing};
}

DetectionLoss::DetectionLoss(LossGains gains, int classes, const at::Tensor& anchors, RowCompaction compaction)
    : gains_(gains),
      classes_(classes),
      anchors_(anchors.detach().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true)),
      compaction_(compaction) {}

LossResult DetectionLoss::operator()(const std::vector<at::Tensor>& raw, const at::Tensor& targets) const {
  const at::Device device = raw.front().device();
  const at::Tensor zero = at::zeros({}, at::TensorOptions(at::kFloat).device(device));
  const at::Tensor anchors = anchors_.to(device);
  LossParts parts{zero, zero, zero};
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const at::Tensor& level = raw[i];
    at::Tensor target;
    if (targets.size(0) > 0) {
      const AssignedTargets matched = assign_targets(targets, anchors[static_cast<std::int64_t>(i)], level.size(2),
                                                     level.size(3), gains_.anchor_t, compaction_);
      if (matched.rows() > 0) target = matched_loss(level, matched, gains_, classes_, parts);
    }
    const at::Tensor logits = level.select(4, 4).to(at::kFloat);
    target = target.defined() ? target.to(at::kFloat) : at::zeros_like(logits);
    parts.obj =
        parts.obj + binary_loss(logits, target, gains_.obj_pw, gains_.fl_gamma).mean() * level_balance(i, raw.size());
  }
  parts.box = parts.box * gains_.box;
  parts.obj = parts.obj * gains_.obj;
  parts.cls = parts.cls * gains_.cls;
  return {.total = (parts.box + parts.obj + parts.cls) * raw.front().size(0),
          .items = at::stack({parts.box, parts.obj, parts.cls}).detach()};
}

}  // namespace valbench
