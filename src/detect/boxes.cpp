#include "detect/boxes.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numbers>

namespace valbench {
namespace {

constexpr double kIouEpsilon = 1e-7;

struct Corners {
  at::Tensor x1, y1, x2, y2, w, h;
};

Corners corners(const at::Tensor& xywh) {
  const at::Tensor x = xywh.select(1, 0), y = xywh.select(1, 1), w = xywh.select(1, 2), h = xywh.select(1, 3);
  const at::Tensor half_w = w / 2, half_h = h / 2;
  return {x - half_w, y - half_h, x + half_w, y + half_h, w, h};
}

}  // namespace

at::Tensor complete_iou(const at::Tensor& predicted, const at::Tensor& target) {
  const Corners p = corners(predicted), t = corners(target);
  const at::Tensor intersection = (at::minimum(p.x2, t.x2) - at::maximum(p.x1, t.x1)).clamp_min(0) *
                                  (at::minimum(p.y2, t.y2) - at::maximum(p.y1, t.y1)).clamp_min(0);
  const at::Tensor iou = intersection / (p.w * p.h + t.w * t.h - intersection + kIouEpsilon);
  const at::Tensor enclosing_w = at::maximum(p.x2, t.x2) - at::minimum(p.x1, t.x1);
  const at::Tensor enclosing_h = at::maximum(p.y2, t.y2) - at::minimum(p.y1, t.y1);
  const at::Tensor diagonal2 = enclosing_w.square() + enclosing_h.square() + kIouEpsilon;
  const at::Tensor distance2 = ((t.x1 + t.x2 - p.x1 - p.x2).square() + (t.y1 + t.y2 - p.y1 - p.y2).square()) / 4;
  const at::Tensor v =
      (at::atan(t.w / t.h) - at::atan(p.w / p.h)).square() * (4 / (std::numbers::pi * std::numbers::pi));
  at::Tensor alpha;
  {
    const at::NoGradGuard no_grad;
    alpha = v / (v - iou + (1 + kIouEpsilon));
  }
  return iou - (distance2 / diagonal2 + v * alpha);
}

}  // namespace valbench
