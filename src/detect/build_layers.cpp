#include "detect/build_layers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "detect/anchors.h"
#include "detect/block_builder.h"

namespace valbench {
namespace {

// §1.7: about 8 objects per 640 px image, and classes at 0.6 / (classes - 0.99999).
void add_detection_prior(at::Tensor& bias, std::int64_t per_cell, int classes, int stride) {
  const at::NoGradGuard no_grad;
  const at::Tensor rows = bias.view({per_cell, 5 + classes});
  const double cells_per_side = 640.0 / stride;
  rows.select(1, 4).add_(std::log(8.0 / (cells_per_side * cells_per_side)));
  rows.slice(1, 5).add_(std::log(0.6 / (classes - 0.99999)));
}

DetectHead detect_head(const LayerPlan& plan, BlockBuilder& builder) {
  DetectHead head;
  const PlannedLayer& layer = plan.layers.back();
  head.anchors = anchors_in_grid_units(plan.anchors, plan.strides);
  for (std::size_t level = 0; level < layer.in.size(); ++level) {
    builder.biased_conv(layer.in[level], layer.row.channels, head.weights.emplace_back(), head.biases.emplace_back());
    add_detection_prior(head.biases.back(), head.anchors.size(1), plan.classes, plan.strides[level]);
  }
  return head;
}

}  // namespace

BuiltLayers build_layers(const LayerPlan& plan, std::uint64_t seed) {
  BlockBuilder builder(seed);
  BuiltLayers built;
  built.strides = plan.strides;
  for (const PlannedLayer& planned : plan.layers) {
    Layer& layer = built.layers.emplace_back();
    layer.from = planned.row.from;
    if (planned.row.kind == LayerKind::detect) {
      layer.blocks.emplace_back(detect_head(plan, builder));
      continue;
    }
    const bool inside = planned.row.kind == LayerKind::c3 || planned.row.kind == LayerKind::c3_ghost ||
                        planned.row.kind == LayerKind::c3_tr || planned.row.kind == LayerKind::c3_x ||
                        planned.row.kind == LayerKind::bottleneck_csp;
    for (int i = 0; i < (inside ? 1 : planned.row.repeats); ++i) {
      layer.blocks.push_back(builder.block(planned, planned.in.front()));
    }
  }
  std::int64_t norms = 0;
  for (Layer& layer : built.layers) {
    visit_tensors("", layer, [&](const std::string&, at::Tensor&, StateEntry::Kind kind) {
      norms += kind == StateEntry::Kind::batches_tracked ? 1 : 0;
    });
  }
  share_batch_counters(built, at::ones({norms}, at::kLong));
  return built;
}

void share_batch_counters(BuiltLayers& built, const at::Tensor& counters) {
  built.batches_tracked = counters;
  std::int64_t next = 0;
  for (Layer& layer : built.layers) {
    visit_tensors("", layer, [&](const std::string&, at::Tensor& tensor, StateEntry::Kind kind) {
      if (kind != StateEntry::Kind::batches_tracked) return;
      const at::Tensor element = counters.select(0, next++);
      // A tensor that is there already is shared with the model's state entries.
      if (tensor.defined()) {
        tensor.set_data(element);
      } else {
        tensor = element.variable_data();
      }
    });
  }
}

}  // namespace valbench
