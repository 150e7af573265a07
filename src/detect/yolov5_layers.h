/// \file
/// The blocks of YOLOv5 (reference yolov5.md §1.1) as plain structs over tensors, with functional forward passes.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "detect/detection_model.h"

namespace valbench {

inline constexpr double kNormEpsilon = 1e-3;   ///< Batch norm epsilon of every YOLOv5 block.
inline constexpr double kNormMomentum = 0.03;  ///< Weight of the new batch in the running statistics.

/// Convolution without bias, batch norm, SiLU: one operation of ours. After fuse_conv_norm() it is convolution with
/// bias, SiLU, and the norm tensors are undefined.
struct ConvBlock {
  at::Tensor weight;                                             ///< (c_out, c_in, k, k)
  at::Tensor norm_weight, norm_bias, running_mean, running_var;  ///< (c_out)
  at::Tensor batches_tracked;  ///< int64 scalar, a view of the model's one counter buffer.
  at::Tensor bias;             ///< (c_out), only when fused.
  std::int64_t stride = 1, padding = 0;
  bool fused() const { return bias.defined(); }
};

/// 1x1 then 3x3 convolution, added to the input when `shortcut`.
struct Bottleneck {
  ConvBlock cv1, cv2;
  bool shortcut = true;
};

/// cv3(cat[m(cv1(x)), cv2(x)]).
struct C3 {
  ConvBlock cv1, cv2, cv3;
  std::vector<Bottleneck> m;
};

/// cv2(cat[x, p(x), p(p(x)), p(p(p(x)))]) with x = cv1(in) and p a stride-1 max pool.
struct Sppf {
  ConvBlock cv1, cv2;
  std::int64_t kernel = 5;
};

struct Upsample {};  ///< Twice the size, nearest.
struct Concat {};    ///< Of the inputs, along channels.

/// One 1x1 convolution with bias per level.
struct DetectHead {
  at::Tensor anchors;  ///< (levels, na, 2), grid units.
  std::vector<at::Tensor> weights, biases;
};

using Block = std::variant<ConvBlock, C3, Sppf, Upsample, Concat, DetectHead>;

/// A row of the layer table after building.
struct Layer {
  std::vector<int> from;  ///< Absolute indices of the input layers; -1 = the image.
  Block block;
};

/// The whole of a ConvBlock. `training`: batch statistics, running statistics updated. This is the place of a fused
/// kernel.
at::Tensor conv_norm_silu(const ConvBlock& block, const at::Tensor& x, bool training);
at::Tensor forward_c3(const C3& block, const at::Tensor& x, bool training);
at::Tensor forward_sppf(const Sppf& block, const at::Tensor& x, bool training);
/// Raw logits of one level, (N, na, ny, nx, 5 + classes): a permuted view of the convolution's output.
at::Tensor forward_detect_level(const DetectHead& head, std::size_t level, const at::Tensor& x);

/// §1.9: the convolution with bias that equals block in evaluation. The result requires no gradient.
void fuse_conv_norm(ConvBlock& block);

/// Called for every tensor of a block in YOLOv5's state_dict order; the reference may be assigned to.
using TensorVisitor = std::function<void(const std::string& name, at::Tensor& tensor, StateEntry::Kind kind)>;
void visit_tensors(const std::string& prefix, Block& block, const TensorVisitor& visit);

/// Called for every ConvBlock inside a block, in state_dict order.
void visit_convs(Block& block, const std::function<void(ConvBlock&)>& visit);

}  // namespace valbench
