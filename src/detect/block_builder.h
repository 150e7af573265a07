/// \file
/// Makes single blocks with random initial values, all from one generator.
#pragma once
#include <ATen/core/Generator.h>

#include <cstdint>

#include "detect/yolov5_layers.h"
#include "scenario/layer_table.h"

namespace valbench {

/// Shape of a convolution: square kernels but for CrossConv.
struct ConvShape {
  std::array<std::int64_t, 2> kernel{1, 1}, stride{1, 1};
  int padding = -1;  ///< -1 = half of what the kernel spans, dilation included.
  int groups = 1, dilation = 1;
};

class BlockBuilder {
 public:
  explicit BlockBuilder(std::uint64_t seed);

  /// A block of a planned row with `c_in` input channels; any kind but Detect.
  Block block(const PlannedLayer& layer, int c_in);
  /// A 1x1 convolution with bias, PyTorch's initial values.
  void biased_conv(int c_in, std::int64_t c_out, at::Tensor& weight, at::Tensor& bias);

 private:
  at::Tensor uniform(at::IntArrayRef shape, double bound);
  ConvBlock conv(int c_in, int c_out, const ConvShape& shape, const Activation& activation);
  ConvBlock conv(int c_in, int c_out, int kernel, const Activation& activation);
  ConvBlock per_channel(int c_in, int c_out, int kernel, int stride, const Activation& activation);
  Bottleneck bottleneck(int c_in, int c_out, const LayerRow& row, double expansion, const Activation& activation);
  Bottleneck cross(int c_in, int c_out, const LayerRow& row, int kernel, double expansion, const Activation& activation);
  GhostConv ghost(int c_in, int c_out, int kernel, int stride, int groups, const Activation& activation);
  GhostBottleneck ghost_bottleneck(int c_in, int c_out, int kernel, int stride, const Activation& activation);
  std::vector<Bottleneck> bottlenecks(int hidden, const PlannedLayer& layer);
  Transformer transformer(int channels, int layers);
  C3 c3(const PlannedLayer& layer, int c_in);
  BottleneckCsp csp(const PlannedLayer& layer, int c_in);

  at::Generator generator_;
};

}  // namespace valbench
