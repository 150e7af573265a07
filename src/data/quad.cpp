#include "data/quad.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/upsample_bilinear2d.h>

namespace valbench {

at::Tensor collate_four(const at::Tensor& images, BatchLabels& labels, const std::vector<bool>& enlarge, bool pinned) {
  const std::int64_t h = images.size(2), w = images.size(3);
  const auto count = static_cast<std::int64_t>(enlarge.size());
  at::Tensor out = at::empty({count, 3, 2 * h, 2 * w}, at::TensorOptions().dtype(at::kByte).pinned_memory(pinned));
  BatchLabels collated(enlarge.size());
  for (std::int64_t n = 0; n < count; ++n) {
    const auto group = static_cast<std::size_t>(n);
    if (enlarge[group]) {
      const at::Tensor first = images.slice(0, 4 * n, 4 * n + 1).to(at::kFloat);
      out.select(0, n).copy_(at::upsample_bilinear2d(first, {2 * h, 2 * w}, false).select(0, 0).to(at::kByte));
      collated[group] = std::move(labels[4 * group]);
      continue;
    }
    for (std::int64_t i = 0; i < 4; ++i) {
      const std::int64_t below = i % 2, right = i / 2;
      out.select(0, n).slice(1, below * h, (below + 1) * h).slice(2, right * w, (right + 1) * w).copy_(
          images.select(0, 4 * n + i));
      for (const LabelRow& row : labels[4 * group + static_cast<std::size_t>(i)]) {
        collated[group].push_back({row.cls, (row.x + static_cast<float>(right)) * 0.5F,
                                   (row.y + static_cast<float>(below)) * 0.5F, row.w * 0.5F, row.h * 0.5F});
      }
    }
  }
  labels = std::move(collated);
  return out;
}

}  // namespace valbench
