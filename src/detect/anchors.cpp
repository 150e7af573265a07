#include "detect/anchors.h"

#include <ATen/ATen.h>

namespace valbench {

const AnchorTable& p5_anchors() {
  static const AnchorTable table = {{10, 13, 16, 30, 33, 23}, {30, 61, 62, 45, 59, 119}, {116, 90, 156, 198, 373, 326}};
  return table;
}

const AnchorTable& p6_anchors() {
  static const AnchorTable table = {{19, 27, 44, 40, 38, 94},
                                    {96, 68, 86, 152, 180, 137},
                                    {140, 301, 303, 264, 238, 542},
                                    {436, 615, 739, 380, 925, 792}};
  return table;
}

at::Tensor anchors_in_grid_units(const AnchorTable& anchors, const std::vector<int>& strides) {
  const auto levels = static_cast<std::int64_t>(anchors.size());
  const auto per_level = static_cast<std::int64_t>(anchors.front().size() / 2);
  at::Tensor out = at::empty({levels, per_level, 2}, at::kFloat);
  float* value = out.data_ptr<float>();
  for (std::size_t level = 0; level < anchors.size(); ++level) {
    for (const double pixels : anchors[level]) *value++ = static_cast<float>(pixels / strides[level]);
  }
  return out;
}

}  // namespace valbench
