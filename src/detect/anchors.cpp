#include "detect/anchors.h"

#include <ATen/ATen.h>

namespace valbench {

namespace {

double mean_area(const std::vector<double>& level) {
  double sum = 0;
  for (std::size_t i = 0; i + 1 < level.size(); i += 2) sum += level[i] * level[i + 1];
  return sum / static_cast<double>(level.size() / 2);
}

}  // namespace

at::Tensor anchors_in_grid_units(const AnchorTable& anchors, const std::vector<int>& strides) {
  const auto levels = static_cast<std::int64_t>(anchors.size());
  const auto per_level = static_cast<std::int64_t>(anchors.front().size() / 2);
  at::Tensor out = at::empty({levels, per_level, 2}, at::kFloat);
  const double growth = mean_area(anchors.back()) - mean_area(anchors.front());
  const bool turned = growth * (strides.back() - strides.front()) < 0;
  float* value = out.data_ptr<float>();
  for (std::size_t level = 0; level < anchors.size(); ++level) {
    for (const double pixels : anchors[turned ? anchors.size() - 1 - level : level]) *value++ = static_cast<float>(pixels / strides[level]);
  }
  return out;
}

}  // namespace valbench
