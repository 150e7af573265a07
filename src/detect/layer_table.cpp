#include "detect/layer_table.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace valbench {
namespace {

constexpr int kImage = -1;  // Layer::from of the first layer

LayerRow conv(int channels, int kernel, int stride, int padding = -1) {
  return {.from = {-1},
          .kind = LayerKind::conv,
          .channels = channels,
          .kernel = kernel,
          .stride = stride,
          .padding = padding};
}
LayerRow c3(int channels, int repeats) {
  return {.from = {-1}, .repeats = repeats, .kind = LayerKind::c3, .channels = channels};
}
LayerRow head_c3(int channels) {
  return {.from = {-1}, .repeats = 3, .kind = LayerKind::c3, .channels = channels, .shortcut = false};
}
LayerRow sppf(int channels) { return {.from = {-1}, .kind = LayerKind::sppf, .channels = channels, .kernel = 5}; }
LayerRow upsample() { return {.from = {-1}, .kind = LayerKind::upsample}; }
LayerRow concat_with(int layer) { return {.from = {-1, layer}, .kind = LayerKind::concat}; }
LayerRow detect(std::vector<int> from) { return {.from = std::move(from), .kind = LayerKind::detect}; }

/// Builds blocks of one model; draws from one generator in layer order.
class Builder {
 public:
  Builder(const ModelScale& scale, int classes, std::uint64_t seed)
      : scale_(scale), classes_(classes), generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

  BuiltLayers build(const LayerTable& table) {
    for (const LayerRow& row : table.rows) add(row, table.anchors);
    share_batch_counters();
    return std::move(built_);
  }

 private:
  void add(const LayerRow& row, const AnchorTable& anchors) {
    const int index = static_cast<int>(built_.layers.size());
    Layer layer;
    for (const int from : row.from) layer.from.push_back(from == -1 ? index - 1 : from);
    const int c_in = layer.from.front() == kImage ? 3 : channels_[static_cast<std::size_t>(layer.from.front())];
    int stride = layer.from.front() == kImage ? 1 : strides_[static_cast<std::size_t>(layer.from.front())];
    int c_out = width(row.channels);
    switch (row.kind) {
      case LayerKind::conv:
        layer.block = conv_block(c_in, c_out, row.kernel, row.stride, row.padding);
        stride *= row.stride;
        break;
      case LayerKind::c3:
        layer.block = c3_block(c_in, c_out, depth(row.repeats), row.shortcut);
        break;
      case LayerKind::sppf:
        layer.block = sppf_block(c_in, c_out, row.kernel);
        break;
      case LayerKind::upsample:
        layer.block = Upsample{};
        c_out = c_in;
        stride /= 2;
        break;
      case LayerKind::concat:
        layer.block = Concat{};
        c_out = 0;
        for (const int from : layer.from) c_out += channels_[static_cast<std::size_t>(from)];
        break;
      case LayerKind::detect:
        layer.block = detect_head(layer.from, anchors);
        break;
    }
    channels_.push_back(c_out);
    strides_.push_back(stride);
    built_.layers.push_back(std::move(layer));
  }

  // Widths are rounded up to a multiple of 8, depths half to even as Python's round() does.
  int width(int channels) const { return static_cast<int>(std::ceil(channels * scale_.width / 8)) * 8; }
  int depth(int repeats) const {
    return repeats > 1 ? std::max(static_cast<int>(std::nearbyint(repeats * scale_.depth)), 1) : repeats;
  }

  at::Tensor uniform(at::IntArrayRef shape, double bound) {
    return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator_).requires_grad_();
  }

  ConvBlock conv_block(int c_in, int c_out, int kernel, int stride = 1, int padding = -1) {
    ConvBlock block;
    block.weight = uniform({c_out, c_in, kernel, kernel}, 1.0 / std::sqrt(static_cast<double>(c_in) * kernel * kernel));
    block.norm_weight = at::ones({c_out}).requires_grad_();
    block.norm_bias = at::zeros({c_out}).requires_grad_();
    block.running_mean = at::zeros({c_out});
    block.running_var = at::full({c_out}, 0.9);
    block.stride = stride;
    block.padding = padding < 0 ? kernel / 2 : padding;
    return block;
  }

  C3 c3_block(int c_in, int c_out, int repeats, bool shortcut) {
    const int hidden = c_out / 2;
    C3 block;
    block.cv1 = conv_block(c_in, hidden, 1);
    block.cv2 = conv_block(c_in, hidden, 1);
    block.cv3 = conv_block(2 * hidden, c_out, 1);
    for (int i = 0; i < repeats; ++i) {
      block.m.push_back(
          {.cv1 = conv_block(hidden, hidden, 1), .cv2 = conv_block(hidden, hidden, 3), .shortcut = shortcut});
    }
    return block;
  }

  Sppf sppf_block(int c_in, int c_out, int kernel) {
    const int hidden = c_in / 2;
    return {.cv1 = conv_block(c_in, hidden, 1), .cv2 = conv_block(4 * hidden, c_out, 1), .kernel = kernel};
  }

  DetectHead detect_head(const std::vector<int>& from, const AnchorTable& anchors) {
    for (const int layer : from) built_.strides.push_back(strides_[static_cast<std::size_t>(layer)]);
    DetectHead head;
    head.anchors = anchors_in_grid_units(anchors, built_.strides);
    const std::int64_t per_cell = head.anchors.size(1);
    for (std::size_t level = 0; level < from.size(); ++level) {
      const int c_in = channels_[static_cast<std::size_t>(from[level])];
      const double bound = 1.0 / std::sqrt(static_cast<double>(c_in));
      head.weights.push_back(uniform({per_cell * (5 + classes_), c_in, 1, 1}, bound));
      head.biases.push_back(uniform({per_cell * (5 + classes_)}, bound));
      add_detection_prior(head.biases.back(), per_cell, built_.strides[level]);
    }
    return head;
  }

  // §1.7: about 8 objects per 640 px image, and classes at 0.6 / (classes - 0.99999).
  void add_detection_prior(at::Tensor& bias, std::int64_t per_cell, int stride) const {
    const at::NoGradGuard no_grad;
    const at::Tensor rows = bias.view({per_cell, 5 + classes_});
    const double cells_per_side = 640.0 / stride;
    rows.select(1, 4).add_(std::log(8.0 / (cells_per_side * cells_per_side)));
    rows.slice(1, 5).add_(std::log(0.6 / (classes_ - 0.99999)));
  }

  void share_batch_counters() {
    std::vector<ConvBlock*> convs;
    for (Layer& layer : built_.layers) visit_convs(layer.block, [&](ConvBlock& conv) { convs.push_back(&conv); });
    built_.batches_tracked = at::ones({static_cast<std::int64_t>(convs.size())}, at::kLong);
    for (std::size_t i = 0; i < convs.size(); ++i) {
      convs[i]->batches_tracked = built_.batches_tracked.select(0, static_cast<std::int64_t>(i)).variable_data();
    }
  }

  const ModelScale& scale_;
  int classes_;
  at::Generator generator_;
  std::vector<int> channels_, strides_;  // of the layers so far
  BuiltLayers built_;
};

}  // namespace

// clang-format off: one network stage a line
const LayerTable& p5_table() {
  static const LayerTable table = {
      .rows = {conv(64, 6, 2, 2), conv(128, 3, 2), c3(128, 3),       conv(256, 3, 2), c3(256, 6),
               conv(512, 3, 2),   c3(512, 9),      conv(1024, 3, 2), c3(1024, 3),     sppf(1024),
               conv(512, 1, 1),   upsample(),      concat_with(6),   head_c3(512),    conv(256, 1, 1),
               upsample(),        concat_with(4),  head_c3(256),     conv(256, 3, 2), concat_with(14),
               head_c3(512),      conv(512, 3, 2), concat_with(10),  head_c3(1024),   detect({17, 20, 23})},
      .anchors = p5_anchors()};
  return table;
}

const LayerTable& p6_table() {
  static const LayerTable table = {.rows = {conv(64, 6, 2, 2), conv(128, 3, 2),
                                            c3(128, 3),        conv(256, 3, 2),
                                            c3(256, 6),        conv(512, 3, 2),
                                            c3(512, 9),        conv(768, 3, 2),
                                            c3(768, 3),        conv(1024, 3, 2),
                                            c3(1024, 3),       sppf(1024),
                                            conv(768, 1, 1),   upsample(),
                                            concat_with(8),    head_c3(768),
                                            conv(512, 1, 1),   upsample(),
                                            concat_with(6),    head_c3(512),
                                            conv(256, 1, 1),   upsample(),
                                            concat_with(4),    head_c3(256),
                                            conv(256, 3, 2),   concat_with(20),
                                            head_c3(512),      conv(512, 3, 2),
                                            concat_with(16),   head_c3(768),
                                            conv(768, 3, 2),   concat_with(12),
                                            head_c3(1024),     detect({23, 26, 29, 32})},
                                   .anchors = p6_anchors()};
  return table;
}
// clang-format on

const std::vector<ModelScale>& model_scales() {
  static const std::vector<ModelScale> scales = {
      {"n", 0.33, 0.25}, {"s", 0.33, 0.50}, {"m", 0.67, 0.75}, {"l", 1.0, 1.0}, {"x", 1.33, 1.25}};
  return scales;
}

BuiltLayers build_layers(const LayerTable& table, const ModelScale& scale, int classes, std::uint64_t seed) {
  return Builder(scale, classes, seed).build(table);
}

}  // namespace valbench
