#include "data/image_weights.h"

#include <algorithm>
#include <numeric>

#include "data/sampler.h"

namespace valbench {

std::vector<double> image_weights(const YoloDataset& dataset, const std::vector<double>& class_map) {
  const auto classes = static_cast<std::size_t>(dataset.classes);
  std::vector<double> per_class(classes, 0);
  for (const ImageEntry& image : dataset.images) {
    for (const LabelRow& row : image.labels) per_class.at(static_cast<std::size_t>(row.cls)) += 1;
  }
  double sum = 0;
  for (double& weight : per_class) sum += weight = 1 / std::max(weight, 1.0);  // A class without labels counts as one.
  for (std::size_t c = 0; c < classes; ++c) {
    const double missed = 1 - (c < class_map.size() ? class_map[c] : 0);
    per_class[c] = per_class[c] / sum * missed * missed;
  }
  std::vector<double> weights;
  weights.reserve(dataset.images.size());
  for (const ImageEntry& image : dataset.images) {
    double weight = 0;
    for (const LabelRow& row : image.labels) weight += per_class[static_cast<std::size_t>(row.cls)];
    weights.push_back(weight);
  }
  return weights;
}

std::vector<std::int64_t> draw_by_weight(const std::vector<double>& weights, SampleRandom& random) {
  std::vector<double> cumulative(weights.size());
  std::partial_sum(weights.begin(), weights.end(), cumulative.begin());
  const double total = cumulative.empty() ? 0 : cumulative.back();
  const auto count = static_cast<std::int64_t>(weights.size());
  std::vector<std::int64_t> drawn;
  for (std::int64_t i = 0; i < count; ++i) {
    if (total <= 0) {
      drawn.push_back(random.below(count));  // Every class is perfect: nothing to prefer.
      continue;
    }
    const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), random.uniform() * total);
    drawn.push_back(std::min<std::int64_t>(at - cumulative.begin(), count - 1));
  }
  return drawn;
}

}  // namespace valbench
