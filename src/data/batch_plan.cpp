#include "data/batch_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "data/sampler.h"
#include "data/yolo_dataset.h"

namespace valbench {
namespace {

double aspect_ratio(const ImageEntry& image) { return static_cast<double>(image.height) / image.width; }

int padded_side(double share, int imgsz, int stride, double pad) {
  return static_cast<int>(std::ceil(share * imgsz / stride + pad)) * stride;
}

// Minimal shape of a batch whose aspect ratios (h/w) span [low, high].
void set_rect_shape(BatchPlan& plan, double low, double high, int imgsz, int stride, double pad) {
  const double h = high < 1 ? high : 1, w = low > 1 ? 1 / low : 1;
  plan.height = padded_side(h, imgsz, stride, pad);
  plan.width = padded_side(w, imgsz, stride, pad);
}

std::vector<std::int64_t> all_indices(const YoloDataset& dataset) {
  std::vector<std::int64_t> indices(dataset.images.size());
  std::iota(indices.begin(), indices.end(), std::int64_t{0});
  return indices;
}

}  // namespace

std::vector<BatchPlan> plan_validation_batches(const YoloDataset& dataset, const std::vector<std::int64_t>& subset, int imgsz,
                                               int batch_size, int stride, BatchShape shape, double pad) {
  if (imgsz < 1 || batch_size < 1 || stride < 1) {
    throw InputError("validation batches: imgsz " + std::to_string(imgsz) + ", batch size " + std::to_string(batch_size) +
                     ", stride " + std::to_string(stride) + ": all must be 1 or more");
  }
  std::vector<std::int64_t> order = subset.empty() ? all_indices(dataset) : subset;
  const auto ratio = [&](std::int64_t i) { return aspect_ratio(dataset.images.at(static_cast<std::size_t>(i))); };
  if (shape == BatchShape::rect) {
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return ratio(a) < ratio(b); });
  }
  std::vector<BatchPlan> plans;
  for (std::size_t begin = 0; begin < order.size(); begin += static_cast<std::size_t>(batch_size)) {
    const std::size_t end = std::min(order.size(), begin + static_cast<std::size_t>(batch_size));
    BatchPlan plan;
    plan.index = static_cast<std::int64_t>(plans.size());
    plan.images.assign(order.begin() + static_cast<std::ptrdiff_t>(begin), order.begin() + static_cast<std::ptrdiff_t>(end));
    plan.imgsz = plan.height = plan.width = imgsz;
    if (shape == BatchShape::rect) set_rect_shape(plan, ratio(plan.images.front()), ratio(plan.images.back()), imgsz, stride, pad);
    plans.push_back(std::move(plan));
  }
  return plans;
}

std::vector<std::int64_t> validation_subset(const YoloDataset& dataset, const ValidationSpec& spec) {
  const auto total = static_cast<std::int64_t>(dataset.images.size());
  std::int64_t count = spec.subset_count;
  if (count <= 0) count = static_cast<std::int64_t>(std::nearbyint(spec.subset_fraction * static_cast<double>(total)));
  count = std::clamp<std::int64_t>(count, 1, total);
  if (count == total) return all_indices(dataset);
  std::vector<std::int64_t> chosen = seeded_permutation(total, spec.subset_seed);
  chosen.resize(static_cast<std::size_t>(count));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace valbench
