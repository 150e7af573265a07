/// \file
/// Which cells and anchors answer for which target (reference yolov5.md §2.3).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace valbench {

/// The rows of one level in the reference's order: all centres, then left, up, right, down neighbours; inside each by
/// anchor, then target. On a GPU every candidate (5 * anchors * targets) is a row, and `valid` says which are matched,
/// because their number is only known there; on the CPU only matched rows are kept and `valid` is undefined.
struct AssignedTargets {
  at::Tensor image, anchor, gj, gi, cls;  ///< (rows) int64; cells clamped to the grid, also in rows that are not valid.
  at::Tensor box;          ///< (rows, 4) float32: x, y relative to the cell, w, h in grid units; 1s where not valid.
  at::Tensor anchor_size;  ///< (rows, 2) float32, grid units.
  at::Tensor valid;        ///< (rows) bool, or undefined: all are.
  std::int64_t rows() const { return image.size(0); }
};

/// Whether assign_targets() drops unmatched rows. `automatic`: on CPUs.
enum class RowCompaction { automatic, never };

/// \param targets (n, 6) float32: image, class, x, y, w, h normalised.
/// \param anchors (na, 2) float32, grid units, on the same device.
AssignedTargets assign_targets(const at::Tensor& targets, const at::Tensor& anchors, std::int64_t ny, std::int64_t nx,
                               double anchor_t, RowCompaction compaction = RowCompaction::automatic);

}  // namespace valbench
