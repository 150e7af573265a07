/// \file
/// Convolution, batch norm and activation, the block that all others are made of (reference yolov5.md §1.1).
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "detect/detection_model.h"
#include "scenario/layer_table.h"

namespace valbench {

inline constexpr double kNormEpsilon = 1e-3;   ///< Batch norm epsilon of every YOLOv5 block.
inline constexpr double kNormMomentum = 0.03;  ///< Weight of the new batch in the running statistics.

/// Convolution without bias, batch norm, activation: one operation of ours. After fuse_conv_norm() it is convolution with
/// bias, activation, and the norm tensors are undefined.
struct ConvBlock {
  at::Tensor weight;                                             ///< (c_out, c_in / groups, k, k)
  at::Tensor norm_weight, norm_bias, running_mean, running_var;  ///< (c_out)
  at::Tensor batches_tracked;  ///< int64 scalar, a view of the model's one counter buffer.
  at::Tensor bias;             ///< (c_out), only when fused.
  std::array<std::int64_t, 2> stride{1, 1}, padding{0, 0}, dilation{1, 1};
  std::int64_t groups = 1;
  Activation activation;
  bool fused() const { return bias.defined(); }
};

/// A batch norm by itself.
struct NormBlock {
  at::Tensor weight, bias, running_mean, running_var, batches_tracked;
};

/// The whole of a ConvBlock. `training`: batch statistics, running statistics updated. This is the place of a fused
/// kernel.
at::Tensor conv_norm_act(const ConvBlock& block, const at::Tensor& x, bool training);
at::Tensor forward_norm(const NormBlock& block, const at::Tensor& x, bool training);
/// In place where nothing is recorded for a gradient.
at::Tensor activate(const Activation& activation, at::Tensor x);

/// §1.9: the convolution with bias that equals block in evaluation. The result requires no gradient.
void fuse_conv_norm(ConvBlock& block);

/// Called for every tensor of a block in YOLOv5's state_dict order; the reference may be assigned to.
using TensorVisitor = std::function<void(const std::string& name, at::Tensor& tensor, StateEntry::Kind kind)>;
void visit_conv_tensors(const std::string& prefix, ConvBlock& conv, const TensorVisitor& visit);
void visit_norm_tensors(const std::string& prefix, NormBlock& norm, const TensorVisitor& visit);

}  // namespace valbench
