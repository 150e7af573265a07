/// \file
/// The blocks of YOLOv5 (reference yolov5.md §1.1) as plain structs over tensors, with functional forward passes.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "detect/conv_block.h"
#include "detect/transformer.h"

namespace valbench {

/// cv2(cv1(x)), added to the input when `add`: Bottleneck (1x1, then 3x3) and CrossConv (1xk, then kx1).
struct Bottleneck {
  ConvBlock cv1, cv2;
  bool add = true;
};

/// cat[y, cv2(y)] with y = cv1(x): half of the channels come from a cheap 5x5 convolution per channel (GhostNet).
struct GhostConv {
  ConvBlock cv1, cv2;
};

/// GhostNet's bottleneck: last(down(first(x))) + shortcut(x); `down` and `shortcut` only with stride 2.
struct GhostBottleneck {
  GhostConv first;
  std::optional<ConvBlock> down;
  GhostConv last;
  std::optional<std::array<ConvBlock, 2>> shortcut;
};

/// cv3(cat[m(cv1(x)), cv2(x)]); m are bottlenecks (C3x: CrossConv, C3Ghost: ghost ones), or a transformer in C3TR.
struct C3 {
  ConvBlock cv1, cv2, cv3;
  std::variant<std::vector<Bottleneck>, std::vector<GhostBottleneck>, Transformer> m;
};

/// The cross-stage partial block of CSPNet: cv4(act(norm(cat[cv3(m(cv1(x))), cv2(x)]))), cv2 and cv3 bare convolutions.
struct BottleneckCsp {
  ConvBlock cv1, cv4;
  at::Tensor cv2, cv3;
  NormBlock norm;
  Activation activation;
  std::vector<Bottleneck> m;
};

/// cv2(cat[x, p1(x), p2(x), …]) with x = cv1(in) and stride-1 max pools of several kernels.
struct Spp {
  ConvBlock cv1, cv2;
  std::vector<std::int64_t> kernels;
};

/// cv2(cat[x, p(x), p(p(x)), p(p(p(x)))]) with x = cv1(in) and p a stride-1 max pool.
struct Sppf {
  ConvBlock cv1, cv2;
  std::int64_t kernel = 5;
};

/// The four pixels of each 2x2 square as channels, then a convolution.
struct Focus {
  ConvBlock conv;
};

/// Squares of pixels become channels (Contract), or channels squares of pixels (Expand).
struct Contract {
  std::int64_t factor = 2;
};
struct Expand {
  std::int64_t factor = 2;
};

struct Upsample {  ///< Nearest.
  std::int64_t factor = 2;
};
struct Concat {};  ///< Of the inputs, along channels.

/// One 1x1 convolution with bias per level.
struct DetectHead {
  at::Tensor anchors;  ///< (levels, na, 2), grid units.
  std::vector<at::Tensor> weights, biases;
};

using Block = std::variant<ConvBlock, C3, Sppf, Upsample, Concat, DetectHead, Bottleneck, BottleneckCsp, GhostConv,
                           GhostBottleneck, Spp, Focus, Contract, Expand>;

/// A row of the layer table after building.
struct Layer {
  std::vector<int> from;       ///< Absolute indices of the input layers; -1 = the image.
  std::vector<Block> blocks;   ///< Applied in turn; more than one for a repeated row.
};

/// Any block but DetectHead. All blocks but Concat read the first input only.
at::Tensor forward_block(const Block& block, std::span<const at::Tensor> inputs, bool training);

/// Raw logits of one level, (N, na, ny, nx, 5 + classes): a permuted view of the convolution's output.
at::Tensor forward_detect_level(const DetectHead& head, std::size_t level, const at::Tensor& x);

/// Calls `visit` for every tensor of a layer, named as in YOLOv5's state_dict with `prefix` in front.
void visit_tensors(const std::string& prefix, Layer& layer, const TensorVisitor& visit);

/// Calls `visit` for every ConvBlock inside a layer, in state_dict order.
void visit_convs(Layer& layer, const std::function<void(ConvBlock&)>& visit);

}  // namespace valbench
