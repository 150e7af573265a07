#include "detect/target_assignment.h"

#include <ATen/ATen.h>

namespace valbench {
namespace {

// A neighbour cell also answers when the centre lies in the half next to it and is not in the outermost cell.
at::Tensor near_lower_border(const at::Tensor& g) { return (g.remainder(1) < 0.5).logical_and(g > 1); }

// (anchors, targets): both sides within a factor of anchor_t.
at::Tensor matching_shapes(const at::Tensor& w, const at::Tensor& h, const at::Tensor& anchors, double anchor_t) {
  const at::Tensor rw = w.unsqueeze(0) / anchors.select(1, 0).unsqueeze(1),
                   rh = h.unsqueeze(0) / anchors.select(1, 1).unsqueeze(1);
  return at::maximum(at::maximum(rw, rw.reciprocal()), at::maximum(rh, rh.reciprocal())) < anchor_t;
}

}  // namespace

AssignedTargets assign_targets(const at::Tensor& targets, const at::Tensor& anchors, std::int64_t ny, std::int64_t nx,
                               double anchor_t, RowCompaction compaction) {
  const std::int64_t n = targets.size(0), na = anchors.size(0);
  const at::Tensor gx = targets.select(1, 2) * nx, gy = targets.select(1, 3) * ny;
  const at::Tensor gw = targets.select(1, 4) * nx, gh = targets.select(1, 5) * ny;
  const at::Tensor shapes = matching_shapes(gw, gh, anchors, anchor_t);

  // (5, targets): own cell, left, up, right, down. Stacked from what is on the device: constants from the host would
  // wait for it.
  const at::Tensor wanted = at::stack({at::ones_like(gx, at::kBool), near_lower_border(gx), near_lower_border(gy),
                                       near_lower_border(nx - gx), near_lower_border(ny - gy)});
  const at::Tensor cell_x = at::stack({gx, gx - 0.5, gx, gx + 0.5, gx}).to(at::kLong).clamp_(0, nx - 1);
  const at::Tensor cell_y = at::stack({gy, gy, gy - 0.5, gy, gy + 0.5}).to(at::kLong).clamp_(0, ny - 1);
  const at::Tensor matched = (wanted.unsqueeze(1).logical_and(shapes.unsqueeze(0))).flatten();  // (5 * na * n)

  const bool compact = compaction == RowCompaction::automatic && targets.is_cpu();
  const at::Tensor row =
      compact ? matched.nonzero().squeeze(1) : at::arange(5 * na * n, targets.options().dtype(at::kLong));
  const at::Tensor target = row.remainder(n), anchor = row.floor_divide(n).remainder(na);
  const at::Tensor cell = row.floor_divide(na * n) * n + target;  // into (5, targets)

  AssignedTargets out;
  out.image = targets.select(1, 0).to(at::kLong).index_select(0, target);
  out.cls = targets.select(1, 1).to(at::kLong).index_select(0, target);
  out.anchor = anchor;
  out.gi = cell_x.flatten().index_select(0, cell);
  out.gj = cell_y.flatten().index_select(0, cell);
  out.anchor_size = anchors.index_select(0, anchor);
  out.box = at::stack({gx.index_select(0, target) - out.gi, gy.index_select(0, target) - out.gj,
                       gw.index_select(0, target), gh.index_select(0, target)},
                      1);
  if (!compact) {
    out.valid = matched;
    // Unmatched rows take part in the arithmetic with weight 0: their values must stay finite.
    out.box.masked_fill_(matched.logical_not().unsqueeze(1), 1.0);
  }
  return out;
}

}  // namespace valbench
