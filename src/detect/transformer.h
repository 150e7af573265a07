/// \file
/// The transformer of C3TR: self-attention over the positions of a feature map, without layer norms and dropout.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "detect/conv_block.h"

namespace valbench {

/// y = attention(q(x), k(x), v(x)) + x; fc2(fc1(y)) + y. Names are those of PyTorch's MultiheadAttention.
struct TransformerLayer {
  at::Tensor q, k, v;  ///< (c, c), no bias.
  at::Tensor in_weight, in_bias, out_weight, out_bias;
  at::Tensor fc1, fc2;  ///< (c, c), no bias.
};

/// The layers on x + linear(x), which stands for the positions' embedding.
struct Transformer {
  at::Tensor weight, bias;  ///< Of `linear`.
  std::vector<TransformerLayer> layers;
};

inline constexpr std::int64_t kAttentionHeads = 4;

at::Tensor forward_transformer(const Transformer& block, const at::Tensor& x);
void visit_transformer(const std::string& prefix, Transformer& block, const TensorVisitor& visit);

}  // namespace valbench
