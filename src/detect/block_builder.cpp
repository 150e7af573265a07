#include "detect/block_builder.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <numeric>

namespace valbench {
namespace {

constexpr double kInitialVariance = 0.9;  // a training pass over zeros with PyTorch's momentum of 0.1 (§1.1)

constexpr Activation kIdentity{.kind = Activation::Kind::identity};

ConvShape square(int kernel, int stride, int padding = -1, int groups = 1, int dilation = 1) {
  return {{kernel, kernel}, {stride, stride}, padding, groups, dilation};
}

/// Bound of PyTorch's default for convolutions and linear layers: kaiming-uniform with a = sqrt(5).
double fan_in_bound(std::int64_t fan_in) { return 1.0 / std::sqrt(static_cast<double>(fan_in)); }

int hidden_of(const LayerRow& row) { return static_cast<int>(row.channels * row.expansion); }

}  // namespace

BlockBuilder::BlockBuilder(std::uint64_t seed) : generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

Block BlockBuilder::block(const PlannedLayer& layer, int c_in) {
  const LayerRow& row = layer.row;
  const Activation& act = layer.activation;
  const int c_out = row.channels;
  switch (row.kind) {
    case LayerKind::conv:
      return conv(c_in, c_out, square(row.kernel, row.stride, row.padding, row.groups, row.dilation), act);
    case LayerKind::dw_conv:
      return conv(c_in, c_out, square(row.kernel, row.stride, -1, std::gcd(c_in, c_out), row.dilation), act);
    case LayerKind::focus:
      return Focus{conv(4 * c_in, c_out, square(row.kernel, row.stride, row.padding, row.groups), act)};
    case LayerKind::bottleneck: return bottleneck(c_in, c_out, row, row.expansion, act);
    case LayerKind::cross_conv: return cross(c_in, c_out, row, row.kernel, row.expansion, act);
    case LayerKind::ghost_conv: return ghost(c_in, c_out, row.kernel, row.stride, row.groups, act);
    case LayerKind::ghost_bottleneck: return ghost_bottleneck(c_in, c_out, row.kernel, row.stride, act);
    case LayerKind::c3:
    case LayerKind::c3_ghost:
    case LayerKind::c3_tr:
    case LayerKind::c3_x: return c3(layer, c_in);
    case LayerKind::bottleneck_csp: return csp(layer, c_in);
    case LayerKind::spp: {
      const int hidden = c_in / 2, parts = static_cast<int>(row.pools.size()) + 1;
      ConvBlock cv1 = conv(c_in, hidden, 1, act);
      return Spp{std::move(cv1), conv(parts * hidden, c_out, 1, act), {row.pools.begin(), row.pools.end()}};
    }
    case LayerKind::sppf: {
      const int hidden = c_in / 2;
      ConvBlock cv1 = conv(c_in, hidden, 1, act);
      return Sppf{std::move(cv1), conv(4 * hidden, c_out, 1, act), row.kernel};
    }
    case LayerKind::contract: return Contract{row.factor};
    case LayerKind::expand: return Expand{row.factor};
    case LayerKind::upsample: return Upsample{row.factor};
    default: return Concat{};
  }
}

void BlockBuilder::biased_conv(int c_in, std::int64_t c_out, at::Tensor& weight, at::Tensor& bias) {
  weight = uniform({c_out, c_in, 1, 1}, fan_in_bound(c_in));
  bias = uniform({c_out}, fan_in_bound(c_in));
}

at::Tensor BlockBuilder::uniform(at::IntArrayRef shape, double bound) {
  return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator_).requires_grad_();
}

ConvBlock BlockBuilder::conv(int c_in, int c_out, const ConvShape& shape, const Activation& activation) {
  ConvBlock block;
  const std::int64_t c_group = c_in / shape.groups;
  block.weight = uniform({c_out, c_group, shape.kernel[0], shape.kernel[1]},
                         fan_in_bound(c_group * shape.kernel[0] * shape.kernel[1]));
  block.norm_weight = at::ones({c_out}).requires_grad_();
  block.norm_bias = at::zeros({c_out}).requires_grad_();
  block.running_mean = at::zeros({c_out});
  block.running_var = at::full({c_out}, kInitialVariance);
  block.stride = shape.stride;
  block.dilation = {shape.dilation, shape.dilation};
  for (std::size_t side = 0; side < 2; ++side) {
    const std::int64_t reach = shape.dilation * (shape.kernel[side] - 1) + 1;
    block.padding[side] = shape.padding < 0 ? reach / 2 : shape.padding;
  }
  block.groups = shape.groups;
  block.activation = activation;
  return block;
}

ConvBlock BlockBuilder::conv(int c_in, int c_out, int kernel, const Activation& activation) {
  return conv(c_in, c_out, square(kernel, 1), activation);
}

ConvBlock BlockBuilder::per_channel(int c_in, int c_out, int kernel, int stride, const Activation& activation) {
  return conv(c_in, c_out, square(kernel, stride, -1, std::gcd(c_in, c_out)), activation);
}

Bottleneck BlockBuilder::bottleneck(int c_in, int c_out, const LayerRow& row, double expansion,
                                    const Activation& activation) {
  const auto hidden = static_cast<int>(c_out * expansion);
  ConvBlock cv1 = conv(c_in, hidden, 1, activation);
  return {std::move(cv1), conv(hidden, c_out, square(3, 1, -1, row.groups), activation), row.shortcut && c_in == c_out};
}

Bottleneck BlockBuilder::cross(int c_in, int c_out, const LayerRow& row, int kernel, double expansion,
                               const Activation& activation) {
  const auto hidden = static_cast<int>(c_out * expansion);
  ConvBlock cv1 = conv(c_in, hidden, {.kernel = {1, kernel}, .stride = {1, row.stride}}, activation);
  ConvBlock cv2 = conv(hidden, c_out, {.kernel = {kernel, 1}, .stride = {row.stride, 1}, .groups = row.groups}, activation);
  return {std::move(cv1), std::move(cv2), row.shortcut && c_in == c_out};
}

GhostConv BlockBuilder::ghost(int c_in, int c_out, int kernel, int stride, int groups, const Activation& activation) {
  const int half = c_out / 2;
  ConvBlock cv1 = conv(c_in, half, square(kernel, stride, -1, groups), activation);
  return {std::move(cv1), per_channel(half, half, 5, 1, activation)};
}

GhostBottleneck BlockBuilder::ghost_bottleneck(int c_in, int c_out, int kernel, int stride,
                                               const Activation& activation) {
  const int half = c_out / 2;
  GhostBottleneck block;
  block.first = ghost(c_in, half, 1, 1, 1, activation);
  if (stride == 2) block.down = per_channel(half, half, kernel, stride, kIdentity);
  block.last = ghost(half, c_out, 1, 1, 1, kIdentity);
  if (stride != 2) return block;
  ConvBlock down = per_channel(c_in, c_in, kernel, stride, kIdentity);
  block.shortcut = {std::move(down), conv(c_in, c_out, 1, kIdentity)};
  return block;
}

// Inside C3s and CSPs the hidden width is kept: expansion 1.
std::vector<Bottleneck> BlockBuilder::bottlenecks(int hidden, const PlannedLayer& layer) {
  std::vector<Bottleneck> all;
  for (int i = 0; i < layer.row.repeats; ++i) all.push_back(bottleneck(hidden, hidden, layer.row, 1, layer.activation));
  return all;
}

Transformer BlockBuilder::transformer(int channels, int layers) {
  const double bound = fan_in_bound(channels);
  const auto linear = [&] { return uniform({channels, channels}, bound); };
  Transformer block;
  block.weight = linear();
  block.bias = uniform({channels}, bound);
  for (int i = 0; i < layers; ++i) {
    TransformerLayer layer;
    layer.q = linear(), layer.k = linear(), layer.v = linear();
    // Xavier-uniform over the (3c, c) matrix, and zero biases: PyTorch's MultiheadAttention.
    layer.in_weight = uniform({3 * channels, channels}, std::sqrt(6.0 / (4.0 * channels)));
    layer.in_bias = at::zeros({3 * channels}).requires_grad_();
    layer.out_weight = linear();
    layer.out_bias = at::zeros({channels}).requires_grad_();
    layer.fc1 = linear(), layer.fc2 = linear();
    block.layers.push_back(std::move(layer));
  }
  return block;
}

C3 BlockBuilder::c3(const PlannedLayer& layer, int c_in) {
  const LayerRow& row = layer.row;
  const Activation& act = layer.activation;
  const int hidden = hidden_of(row);
  C3 block;
  block.cv1 = conv(c_in, hidden, 1, act);
  block.cv2 = conv(c_in, hidden, 1, act);
  block.cv3 = conv(2 * hidden, row.channels, 1, act);
  if (row.kind == LayerKind::c3_tr) {
    block.m = transformer(hidden, row.repeats);
  } else if (row.kind == LayerKind::c3_ghost) {
    std::vector<GhostBottleneck> ghosts;
    for (int i = 0; i < row.repeats; ++i) ghosts.push_back(ghost_bottleneck(hidden, hidden, 3, 1, act));
    block.m = std::move(ghosts);
  } else if (row.kind == LayerKind::c3_x) {
    std::vector<Bottleneck> crosses;
    for (int i = 0; i < row.repeats; ++i) crosses.push_back(cross(hidden, hidden, row, 3, 1, act));
    block.m = std::move(crosses);
  } else {
    block.m = bottlenecks(hidden, layer);
  }
  return block;
}

BottleneckCsp BlockBuilder::csp(const PlannedLayer& layer, int c_in) {
  const int hidden = hidden_of(layer.row), c_out = layer.row.channels;
  BottleneckCsp block;
  block.activation = layer.activation;
  block.cv1 = conv(c_in, hidden, 1, layer.activation);
  block.cv2 = uniform({hidden, c_in, 1, 1}, fan_in_bound(c_in));
  block.cv3 = uniform({hidden, hidden, 1, 1}, fan_in_bound(hidden));
  block.cv4 = conv(2 * hidden, c_out, 1, layer.activation);
  block.norm = {at::ones({2 * hidden}).requires_grad_(), at::zeros({2 * hidden}).requires_grad_(),
                at::zeros({2 * hidden}), at::full({2 * hidden}, kInitialVariance), {}};
  block.m = bottlenecks(hidden, layer);
  return block;
}

}  // namespace valbench
