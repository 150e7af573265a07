#include "detect/transformer.h"

#include <ATen/ATen.h>

#include <cmath>

namespace valbench {
namespace {

using Kind = StateEntry::Kind;

/// Scaled dot-product attention of several heads; q, k and v are (positions, images, channels).
at::Tensor attention(const TransformerLayer& layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const std::int64_t positions = q.size(0), images = q.size(1), channels = q.size(2);
  const std::vector<at::Tensor> weights = layer.in_weight.chunk(3), biases = layer.in_bias.chunk(3);
  const auto heads_first = [&](const at::Tensor& x, std::size_t part) {
    return at::linear(x, weights[part], biases[part])
        .contiguous()
        .view({positions, images * kAttentionHeads, channels / kAttentionHeads})
        .transpose(0, 1);
  };
  const double scale = std::sqrt(1.0 / static_cast<double>(channels / kAttentionHeads));
  const at::Tensor scores = at::bmm(heads_first(q, 0) * scale, heads_first(k, 1).transpose(1, 2));
  const at::Tensor mixed = at::bmm(at::softmax(scores, -1), heads_first(v, 2));
  const at::Tensor joined = mixed.transpose(0, 1).contiguous().view({positions * images, channels});
  return at::linear(joined, layer.out_weight, layer.out_bias).view({positions, images, channels});
}

}  // namespace

at::Tensor forward_transformer(const Transformer& block, const at::Tensor& x) {
  at::Tensor p = x.flatten(2).permute({2, 0, 1});
  p = p + at::linear(p, block.weight, block.bias);
  for (const TransformerLayer& layer : block.layers) {
    p = attention(layer, at::linear(p, layer.q), at::linear(p, layer.k), at::linear(p, layer.v)) + p;
    p = at::linear(at::linear(p, layer.fc1), layer.fc2) + p;
  }
  return p.permute({1, 2, 0}).reshape(x.sizes());
}

void visit_transformer(const std::string& prefix, Transformer& block, const TensorVisitor& visit) {
  visit(prefix + ".linear.weight", block.weight, Kind::weight);
  visit(prefix + ".linear.bias", block.bias, Kind::bias);
  for (std::size_t i = 0; i < block.layers.size(); ++i) {
    TransformerLayer& layer = block.layers[i];
    const std::string name = prefix + ".tr." + std::to_string(i);
    visit(name + ".q.weight", layer.q, Kind::weight);
    visit(name + ".k.weight", layer.k, Kind::weight);
    visit(name + ".v.weight", layer.v, Kind::weight);
    visit(name + ".ma.in_proj_weight", layer.in_weight, Kind::weight);
    // YOLOv5 decays what is not called `bias` (§4.1), and this one is not.
    visit(name + ".ma.in_proj_bias", layer.in_bias, Kind::weight);
    visit(name + ".ma.out_proj.weight", layer.out_weight, Kind::weight);
    visit(name + ".ma.out_proj.bias", layer.out_bias, Kind::bias);
    visit(name + ".fc1.weight", layer.fc1, Kind::weight);
    visit(name + ".fc2.weight", layer.fc2, Kind::weight);
  }
}

}  // namespace valbench
