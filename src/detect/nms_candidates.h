/// \file
/// Picks the boxes that enter suppression: confident enough, of a wanted class, in candidate order (row, then class).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "detect/nms.h"

namespace valbench {

/// Of one image's rows (rows, 5 + classes) in host memory.
std::vector<Detection> scan_candidates(const float* rows, std::int64_t count, int classes, const NmsOptions& options);

/// Of every image of a prediction (N, rows, 5 + classes) of any device and dtype: chosen there, in its dtype, and
/// copied once.
std::vector<std::vector<Detection>> gather_candidates(const at::Tensor& prediction, const NmsOptions& options);

}  // namespace valbench
