/// \file
/// From a planned network to layers with YOLOv5's random initial values.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "detect/yolov5_layers.h"
#include "scenario/layer_table.h"

namespace valbench {

struct BuiltLayers {
  std::vector<Layer> layers;
  std::vector<int> strides;    ///< Of the Detect levels, pixels.
  at::Tensor batches_tracked;  ///< int64, one element per batch norm; the blocks hold views of it.
};

/// Builds the layers with YOLOv5's initial state (§1.1, §1.7): kaiming-uniform weights from a generator of this seed,
/// batch norm as a first training pass over zeros leaves it, detection biases set for rare objects. All trainable
/// tensors require gradients.
BuiltLayers build_layers(const LayerPlan& plan, std::uint64_t seed);

/// Points every batch norm's counter to its element of `counters`, in state order.
void share_batch_counters(BuiltLayers& built, const at::Tensor& counters);

}  // namespace valbench
