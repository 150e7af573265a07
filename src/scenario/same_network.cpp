#include "scenario/same_network.h"

#include <algorithm>

namespace valbench {
namespace {

bool same_activation(const Activation& a, const Activation& b) {
  return a.kind == b.kind && (a.kind != Activation::Kind::leaky_relu || a.slope == b.slope);
}

int padding_of(const LayerRow& row) { return row.padding < 0 ? row.kernel / 2 : row.padding; }

bool same_layer(const PlannedLayer& a, const PlannedLayer& b) {
  const LayerRow &x = a.row, &y = b.row;
  return x.kind == y.kind && x.from == y.from && x.repeats == y.repeats && x.channels == y.channels && x.kernel == y.kernel &&
         x.stride == y.stride && x.groups == y.groups && x.dilation == y.dilation && padding_of(x) == padding_of(y) &&
         x.shortcut == y.shortcut && x.expansion == y.expansion && x.factor == y.factor && x.pools == y.pools && a.in == b.in &&
         same_activation(a.activation, b.activation);
}

}  // namespace

bool same_network(const LayerTable& a, const LayerTable& b) {
  constexpr int kAnyClasses = 80;
  const LayerPlan first = plan_layers(a, kAnyClasses), second = plan_layers(b, kAnyClasses);
  return std::equal(first.layers.begin(), first.layers.end(), second.layers.begin(), second.layers.end(), same_layer);
}

}  // namespace valbench
