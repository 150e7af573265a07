#include "detect/yolov5_layers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "detect/max_pool.h"
#include "detect/norm_sync.h"

namespace valbench {
namespace {

using Kind = StateEntry::Kind;

// In place where nothing is recorded: autograd would keep a copy of the input, so that in training the plain form is
// cheaper.
at::Tensor activate(at::Tensor x) {
  return at::GradMode::is_enabled() && x.requires_grad() ? at::silu(x) : at::silu_(x);
}

at::Tensor forward_bottleneck(const Bottleneck& block, const at::Tensor& x, bool training) {
  at::Tensor y = conv_norm_silu(block.cv2, conv_norm_silu(block.cv1, x, training), training);
  // In place is safe: neither SiLU nor the sum needs y for its gradient.
  return block.shortcut ? y.add_(x) : y;
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

using ConvVisitor = std::function<void(const std::string& name, ConvBlock& conv)>;

void visit_named_convs(const std::string& prefix, Block& block, const ConvVisitor& visit) {
  if (auto* conv = std::get_if<ConvBlock>(&block)) {
    visit(prefix, *conv);
  } else if (auto* c3 = std::get_if<C3>(&block)) {
    visit(prefix + ".cv1", c3->cv1);
    visit(prefix + ".cv2", c3->cv2);
    visit(prefix + ".cv3", c3->cv3);
    for (std::size_t j = 0; j < c3->m.size(); ++j) {
      const std::string bottleneck = prefix + ".m." + std::to_string(j);
      visit(bottleneck + ".cv1", c3->m[j].cv1);
      visit(bottleneck + ".cv2", c3->m[j].cv2);
    }
  } else if (auto* sppf = std::get_if<Sppf>(&block)) {
    visit(prefix + ".cv1", sppf->cv1);
    visit(prefix + ".cv2", sppf->cv2);
  }
}

}  // namespace

at::Tensor conv_norm_silu(const ConvBlock& block, const at::Tensor& x, bool training) {
  at::Tensor y = at::conv2d(x, block.weight, block.bias, block.stride, block.padding);
  if (!block.fused()) {
    y = batch_norm(y, block.norm_weight, block.norm_bias, block.running_mean, block.running_var, training,
                   {kNormMomentum, kNormEpsilon});
  }
  return activate(y);
}

at::Tensor forward_c3(const C3& block, const at::Tensor& x, bool training) {
  at::Tensor y = conv_norm_silu(block.cv1, x, training);
  for (const Bottleneck& bottleneck : block.m) y = forward_bottleneck(bottleneck, y, training);
  return conv_norm_silu(block.cv3, at::cat({y, conv_norm_silu(block.cv2, x, training)}, 1), training);
}

at::Tensor forward_sppf(const Sppf& block, const at::Tensor& x, bool training) {
  const auto pool = [&](const at::Tensor& in) { return same_size_max_pool(in, block.kernel); };
  const at::Tensor y0 = conv_norm_silu(block.cv1, x, training);
  const at::Tensor y1 = pool(y0), y2 = pool(y1);
  return conv_norm_silu(block.cv2, at::cat({y0, y1, y2, pool(y2)}, 1), training);
}

at::Tensor forward_detect_level(const DetectHead& head, std::size_t level, const at::Tensor& x) {
  const at::Tensor y = at::conv2d(x, head.weights[level], head.biases[level]);
  const std::int64_t per_cell = head.anchors.size(1);
  return y.unflatten(1, {per_cell, y.size(1) / per_cell}).permute({0, 1, 3, 4, 2});
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

void visit_tensors(const std::string& prefix, Block& block, const TensorVisitor& visit) {
  if (auto* head = std::get_if<DetectHead>(&block)) {
    visit(prefix + ".anchors", head->anchors, Kind::anchors);
    for (std::size_t level = 0; level < head->weights.size(); ++level) {
      const std::string conv = prefix + ".m." + std::to_string(level);
      visit(conv + ".weight", head->weights[level], Kind::weight);
      visit(conv + ".bias", head->biases[level], Kind::bias);
    }
    return;
  }
  visit_named_convs(prefix, block,
                    [&](const std::string& name, ConvBlock& conv) { visit_conv_tensors(name, conv, visit); });
}

void visit_convs(Block& block, const std::function<void(ConvBlock&)>& visit) {
  visit_named_convs("", block, [&](const std::string&, ConvBlock& conv) { visit(conv); });
}

}  // namespace valbench
