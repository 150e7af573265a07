/// \file
/// Networks as tables of rows, as YOLOv5's model YAML files write them (reference yolov5.md §1.2-1.5), and what becomes of
/// the rows for one depth, width and number of classes. No tensors: the controller checks models with it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "scenario/run_spec.h"

namespace valbench {

/// Width and height pairs in pixels, one row of 2 * anchors-per-level numbers a level.
using AnchorTable = std::vector<std::vector<double>>;

const AnchorTable& p5_anchors();  ///< n s m l x, strides 8 16 32.
const AnchorTable& p6_anchors();  ///< n6 … x6, strides 8 16 32 64.
/// `anchors: 3` of a model YAML or hyp file: the numbers 0 … 2 per_level - 1 a level, to be refitted by AutoAnchor.
AnchorTable placeholder_anchors(int levels, int per_level);

enum class LayerKind {
  conv, dw_conv, focus, bottleneck, bottleneck_csp, c3, c3_ghost, c3_tr, c3_x, cross_conv, ghost_conv,
  ghost_bottleneck, spp, sppf, contract, expand, upsample, concat, detect
};

/// What follows a convolution's batch norm.
struct Activation {
  enum class Kind { identity, silu, relu, relu6, leaky_relu, hardswish, mish, gelu } kind = Kind::silu;
  double slope = 0.01;  ///< Of leaky_relu, left of zero.
};

/// One row of a network's table; channels and repeats are those of width and depth 1.
struct LayerRow {
  std::vector<int> from{-1};  ///< Negative = counted back from this row, others absolute.
  int repeats = 1;
  LayerKind kind = LayerKind::conv;
  int channels = 0;
  int kernel = 1, stride = 1, groups = 1, dilation = 1;
  int padding = -1;         ///< -1 = half the kernel.
  bool shortcut = true;     ///< Of bottlenecks.
  double expansion = 0.5;   ///< Hidden channels of bottlenecks and C3s / channels.
  int factor = 2;           ///< Of Upsample, Contract and Expand.
  std::vector<int> pools;   ///< Kernels of SPP.
  std::optional<Activation> activation;  ///< In place of the table's.
  int line = 0;                          ///< In the YAML file.
};

struct LayerTable {
  std::string file;  ///< As shown in errors; empty for the built-in tables.
  std::vector<LayerRow> rows;
  AnchorTable anchors;  ///< Pixels.
  double depth = 1, width = 1;
  int channel_multiple = 8;  ///< Widths are rounded up to multiples of it.
  int classes = 80;          ///< Of the YAML file; a data set's number takes its place.
  Activation activation;     ///< Of every convolution whose row says nothing else.
};

/// yolov5n … yolov5x, yolov5n6 … yolov5x6.
const std::vector<std::string>& builtin_models();
/// Whether a scenario's `model` is a YAML file rather than a name.
bool is_model_file(const std::string& model);
/// The name that tables and checkpoints show: a built-in name, or a file's without its extension.
std::string model_name(const std::string& model);
/// The table of a built-in name or a YAML file. Throws InputError that lists the names, or ScenarioError.
LayerTable model_table(const std::string& model, Compat compat);

/// A row with all numbers settled.
struct PlannedLayer {
  LayerRow row;           ///< `from` absolute (-1 = the image), channels of the output, repeats for the depth.
  std::vector<int> in;    ///< Channels of each input.
  Activation activation;  ///< Of its convolutions.
};

struct LayerPlan {
  std::vector<PlannedLayer> layers;  ///< The last one is Detect.
  std::vector<int> strides;          ///< Of Detect's levels, pixels.
  AnchorTable anchors;               ///< Pixels, in the order of the strides.
  int classes = 0;
};

/// Works out channels, repeats and strides (on an image of 256 x 256 pixels). Throws ScenarioError that names
/// the row and what does not fit.
LayerPlan plan_layers(const LayerTable& table, int classes);

/// A row as errors name it: `layer 13 (C3)`.
std::string row_title(std::size_t index, LayerKind kind);
/// The module's name in YAML files.
std::string module_name(LayerKind kind);

/// The multiple that image sizes are rounded up to: the largest stride, at least 32.
int size_multiple(const LayerPlan& plan);

}  // namespace valbench
