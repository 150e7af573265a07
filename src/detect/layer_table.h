/// \file
/// Networks as tables of rows (reference yolov5.md §1.2-1.4), and their building with random initial values.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "detect/anchors.h"
#include "detect/yolov5_layers.h"

namespace valbench {

enum class LayerKind { conv, c3, sppf, upsample, concat, detect };

/// One row of a network's table; channels and repeats are those of the `l` size.
struct LayerRow {
  std::vector<int> from;  ///< -1 = the previous layer, others absolute.
  int repeats = 1;
  LayerKind kind;
  int channels = 0;
  int kernel = 1, stride = 1;
  int padding = -1;      ///< -1 = kernel / 2.
  bool shortcut = true;  ///< Of a C3's bottlenecks.
};

struct LayerTable {
  std::vector<LayerRow> rows;
  AnchorTable anchors;  ///< Pixels.
};

const LayerTable& p5_table();
const LayerTable& p6_table();

/// Depth and width of a size: `n` is {0.33, 0.25}.
struct ModelScale {
  std::string size;
  double depth = 1, width = 1;
};
const std::vector<ModelScale>& model_scales();  ///< n s m l x

struct BuiltLayers {
  std::vector<Layer> layers;
  std::vector<int> strides;    ///< Of the Detect levels, pixels.
  at::Tensor batches_tracked;  ///< int64, one element per ConvBlock; the blocks hold views of it.
};

/// Builds the layers with YOLOv5's initial state (§1.1, §1.7): kaiming-uniform weights from a generator of this seed,
/// batch norm as a first training pass over zeros leaves it, detection biases set for rare objects. All trainable
/// tensors require gradients.
BuiltLayers build_layers(const LayerTable& table, const ModelScale& scale, int classes, std::uint64_t seed);

}  // namespace valbench
