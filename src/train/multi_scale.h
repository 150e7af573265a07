/// \file
/// YOLOv5's --multi-scale (reference yolov5.md §4.6): every batch of a rank is resized to a size of its own.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace valbench {

/// The longer side of one batch: a multiple of `stride` between about 0.5 and 1.5 times `imgsz`. It depends on nothing but these numbers,
/// so that a resumed run draws as an uninterrupted one; ranks draw differently, as in YOLOv5.
int draw_batch_size(std::uint64_t seed, int rank, int epoch, std::int64_t batch, int imgsz, int stride);

/// Images (N, C, H, W) with `longer_side` as the longer side, both sides rounded up to multiples of `stride`; bilinear, corners not
/// aligned. Labels are shares of the sides and stay.
at::Tensor resize_batch(const at::Tensor& images, int longer_side, int stride);

}  // namespace valbench
