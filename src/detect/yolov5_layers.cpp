#include "detect/yolov5_layers.h"

#include <ATen/ATen.h>

#include "detect/max_pool.h"

namespace valbench {
namespace {

at::Tensor forward(const ConvBlock& block, const at::Tensor& x, bool training) {
  return conv_norm_act(block, x, training);
}

at::Tensor forward(const Bottleneck& block, const at::Tensor& x, bool training) {
  at::Tensor y = conv_norm_act(block.cv2, conv_norm_act(block.cv1, x, training), training);
  if (!block.add) return y;
  // In place is safe with SiLU: neither it nor the sum needs y for its gradient.
  return block.cv2.activation.kind == Activation::Kind::silu ? y.add_(x) : y + x;
}

at::Tensor forward(const GhostConv& block, const at::Tensor& x, bool training) {
  const at::Tensor y = conv_norm_act(block.cv1, x, training);
  return at::cat({y, conv_norm_act(block.cv2, y, training)}, 1);
}

at::Tensor forward(const GhostBottleneck& block, const at::Tensor& x, bool training) {
  at::Tensor y = forward(block.first, x, training);
  if (block.down) y = conv_norm_act(*block.down, y, training);
  y = forward(block.last, y, training);
  if (!block.shortcut) return y + x;
  const auto& [down, match] = *block.shortcut;
  return y + conv_norm_act(match, conv_norm_act(down, x, training), training);
}

at::Tensor forward(const C3& block, const at::Tensor& x, bool training) {
  at::Tensor y = conv_norm_act(block.cv1, x, training);
  if (const auto* transformer = std::get_if<Transformer>(&block.m)) {
    y = forward_transformer(*transformer, y);
  } else if (const auto* ghosts = std::get_if<std::vector<GhostBottleneck>>(&block.m)) {
    for (const GhostBottleneck& ghost : *ghosts) y = forward(ghost, y, training);
  } else {
    for (const Bottleneck& bottleneck : std::get<std::vector<Bottleneck>>(block.m)) {
      y = forward(bottleneck, y, training);
    }
  }
  return conv_norm_act(block.cv3, at::cat({y, conv_norm_act(block.cv2, x, training)}, 1), training);
}

at::Tensor forward(const BottleneckCsp& block, const at::Tensor& x, bool training) {
  at::Tensor y = conv_norm_act(block.cv1, x, training);
  for (const Bottleneck& bottleneck : block.m) y = forward(bottleneck, y, training);
  const at::Tensor both = at::cat({at::conv2d(y, block.cv3), at::conv2d(x, block.cv2)}, 1);
  return conv_norm_act(block.cv4, activate(block.activation, forward_norm(block.norm, both, training)), training);
}

at::Tensor forward(const Spp& block, const at::Tensor& x, bool training) {
  std::vector<at::Tensor> parts{conv_norm_act(block.cv1, x, training)};
  for (const std::int64_t kernel : block.kernels) parts.push_back(same_size_max_pool(parts.front(), kernel));
  return conv_norm_act(block.cv2, at::cat(parts, 1), training);
}

at::Tensor forward(const Sppf& block, const at::Tensor& x, bool training) {
  const at::Tensor y0 = conv_norm_act(block.cv1, x, training);
  const at::Tensor y1 = same_size_max_pool(y0, block.kernel), y2 = same_size_max_pool(y1, block.kernel);
  return conv_norm_act(block.cv2, at::cat({y0, y1, y2, same_size_max_pool(y2, block.kernel)}, 1), training);
}

at::Tensor forward(const Focus& block, const at::Tensor& x, bool training) {
  const auto every_second = [&x](std::int64_t row, std::int64_t column) {
    return x.slice(2, row, std::nullopt, 2).slice(3, column, std::nullopt, 2);
  };
  const at::Tensor squares =
      at::cat({every_second(0, 0), every_second(1, 0), every_second(0, 1), every_second(1, 1)}, 1);
  return conv_norm_act(block.conv, squares, training);
}

at::Tensor forward(const Contract& block, const at::Tensor& x, bool) {
  const std::int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3), f = block.factor;
  const at::Tensor squares = x.reshape({n, c, h / f, f, w / f, f}).permute({0, 3, 5, 1, 2, 4});
  return squares.reshape({n, c * f * f, h / f, w / f});
}

at::Tensor forward(const Expand& block, const at::Tensor& x, bool) {
  const std::int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3), f = block.factor;
  const at::Tensor squares = x.reshape({n, f, f, c / (f * f), h, w}).permute({0, 3, 4, 1, 5, 2});
  return squares.reshape({n, c / (f * f), h * f, w * f});
}

at::Tensor forward(const Upsample& block, const at::Tensor& x, bool) {
  const auto factor = static_cast<double>(block.factor);
  return at::upsample_nearest2d(x, {x.size(2) * block.factor, x.size(3) * block.factor}, factor, factor);
}

}  // namespace

at::Tensor forward_block(const Block& block, std::span<const at::Tensor> inputs, bool training) {
  return std::visit(
      [&]<class B>(const B& b) -> at::Tensor {
        if constexpr (std::is_same_v<B, Concat>) {
          return at::cat({inputs.data(), inputs.size()}, 1);
        } else if constexpr (std::is_same_v<B, DetectHead>) {
          return {};
        } else {
          return forward(b, inputs.front(), training);
        }
      },
      block);
}

at::Tensor forward_detect_level(const DetectHead& head, std::size_t level, const at::Tensor& x) {
  const at::Tensor y = at::conv2d(x, head.weights[level], head.biases[level]);
  const std::int64_t per_cell = head.anchors.size(1);
  return y.unflatten(1, {per_cell, y.size(1) / per_cell}).permute({0, 1, 3, 4, 2});
}

}  // namespace valbench
