#include "detect/conv_block.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "detect/norm_sync.h"

namespace valbench {

using Kind = StateEntry::Kind;

// In place where nothing is recorded: autograd would keep a copy of the input, so that in training the plain form is
// cheaper.
at::Tensor activate(const Activation& activation, at::Tensor x) {
  const bool recorded = at::GradMode::is_enabled() && x.requires_grad();
  switch (activation.kind) {
    case Activation::Kind::identity: return x;
    case Activation::Kind::silu: return recorded ? at::silu(x) : at::silu_(x);
    case Activation::Kind::relu: return recorded ? at::relu(x) : at::relu_(x);
    case Activation::Kind::relu6: return recorded ? at::hardtanh(x, 0, 6) : at::hardtanh_(x, 0, 6);
    case Activation::Kind::leaky_relu:
      return recorded ? at::leaky_relu(x, activation.slope) : at::leaky_relu_(x, activation.slope);
    case Activation::Kind::hardswish: return recorded ? at::hardswish(x) : at::hardswish_(x);
    case Activation::Kind::mish: return recorded ? at::mish(x) : at::mish_(x);
    case Activation::Kind::gelu: return at::gelu(x);
  }
  return x;
}

at::Tensor conv_norm_act(const ConvBlock& block, const at::Tensor& x, bool training) {
  at::Tensor y = at::conv2d(x, block.weight, block.bias, block.stride, block.padding, block.dilation, block.groups);
  if (!block.fused()) {
    y = batch_norm(y, block.norm_weight, block.norm_bias, block.running_mean, block.running_var, training,
                   {kNormMomentum, kNormEpsilon});
  }
  return activate(block.activation, std::move(y));
}

at::Tensor forward_norm(const NormBlock& block, const at::Tensor& x, bool training) {
  return batch_norm(x, block.weight, block.bias, block.running_mean, block.running_var, training, {kNormMomentum, kNormEpsilon});
}

void fuse_conv_norm(ConvBlock& block) {
  if (block.fused()) return;
  const at::NoGradGuard no_grad;
  const at::Tensor deviation = at::sqrt(block.running_var + kNormEpsilon);
  block.bias = block.norm_bias - block.norm_weight * block.running_mean / deviation;
  block.weight = block.weight * (block.norm_weight / deviation).view({-1, 1, 1, 1});
  for (at::Tensor* gone :
       {&block.norm_weight, &block.norm_bias, &block.running_mean, &block.running_var, &block.batches_tracked}) {
    *gone = at::Tensor();
  }
}

void visit_conv_tensors(const std::string& prefix, ConvBlock& conv, const TensorVisitor& visit) {
  visit(prefix + ".conv.weight", conv.weight, Kind::weight);
  if (conv.fused()) {
    visit(prefix + ".conv.bias", conv.bias, Kind::bias);
    return;
  }
  visit(prefix + ".bn.weight", conv.norm_weight, Kind::norm_weight);
  visit(prefix + ".bn.bias", conv.norm_bias, Kind::bias);
  visit(prefix + ".bn.running_mean", conv.running_mean, Kind::running_stat);
  visit(prefix + ".bn.running_var", conv.running_var, Kind::running_stat);
  visit(prefix + ".bn.num_batches_tracked", conv.batches_tracked, Kind::batches_tracked);
}

void visit_norm_tensors(const std::string& prefix, NormBlock& norm, const TensorVisitor& visit) {
  visit(prefix + ".weight", norm.weight, Kind::norm_weight);
  visit(prefix + ".bias", norm.bias, Kind::bias);
  visit(prefix + ".running_mean", norm.running_mean, Kind::running_stat);
  visit(prefix + ".running_var", norm.running_var, Kind::running_stat);
  visit(prefix + ".num_batches_tracked", norm.batches_tracked, Kind::batches_tracked);
}

}  // namespace valbench
