#include "metrics/coco_average_precision.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/parallel_for.h"
#include "metrics/coco_matching.h"

namespace valbench {
namespace {

constexpr std::size_t kRecalls = 101;  // 0, .01, … 1
constexpr std::size_t kChunk = 64;     // groups that a thread takes at once

template <typename Record>
void check_records(const std::vector<Record>& records, const CocoSet& set, const char* kind) {
  const auto refuse = [&](std::size_t i, const std::string& reason) {
    throw InputError(std::string("COCO ") + kind + ' ' + std::to_string(i) + ": " + reason);
  };
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    if (record.image >= set.images) {
      refuse(i, "image " + std::to_string(record.image) + " of " + std::to_string(set.images) + "; indices start at 0");
    }
    if (record.category >= set.categories) {
      refuse(i, "category " + std::to_string(record.category) + " of " + std::to_string(set.categories) +
                    "; indices start at 0");
    }
    double sum = record.x + record.y + record.w + record.h;
    if constexpr (requires { record.score; })
      sum += record.score;
    else
      sum += record.area;
    if (!std::isfinite(sum)) refuse(i, "its box, area or score is not finite; leave it out");
  }
}

/// Records by category, then image, ties in their own order; and where each category begins.
struct Order {
  std::vector<std::uint32_t> indices, begin;  ///< `begin` has one entry more than there are categories.
};

template <typename Key>
std::vector<std::uint32_t> counting_sort(std::vector<std::uint32_t>& indices, std::size_t keys, Key key) {
  std::vector<std::uint32_t> begin(keys + 1, 0), sorted(indices.size());
  for (const std::uint32_t index : indices) ++begin[key(index) + 1];
  for (std::size_t k = 0; k < keys; ++k) begin[k + 1] += begin[k];
  std::vector<std::uint32_t> at(begin.begin(), begin.end() - 1);
  for (const std::uint32_t index : indices) sorted[at[key(index)]++] = index;
  indices = std::move(sorted);
  return begin;
}

template <typename Record>
Order order_of(const std::vector<Record>& records, const CocoSet& set) {
  Order order;
  order.indices.resize(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) order.indices[i] = static_cast<std::uint32_t>(i);
  const auto image = [&](std::uint32_t i) { return records[i].image; };
  if (!std::ranges::is_sorted(order.indices, {}, image)) counting_sort(order.indices, set.images, image);
  order.begin = counting_sort(order.indices, set.categories, [&](std::uint32_t i) { return records[i].category; });
  return order;
}

/// The groups that have detections, category after category. One without any has only labels, which are counted apart.
std::vector<CocoGroup> groups_of(const CocoSet& set, const Order& labels, const Order& detections) {
  std::vector<CocoGroup> groups;
  for (std::size_t c = 0; c < set.categories; ++c) {
    std::uint32_t l = labels.begin[c];
    for (std::uint32_t d = detections.begin[c], end; d < detections.begin[c + 1]; d = end) {
      const std::uint32_t image = set.detections[detections.indices[d]].image;
      end = d + 1;
      while (end < detections.begin[c + 1] && set.detections[detections.indices[end]].image == image) ++end;
      while (l < labels.begin[c + 1] && set.labels[labels.indices[l]].image < image) ++l;
      const std::uint32_t first = l;
      while (l < labels.begin[c + 1] && set.labels[labels.indices[l]].image == image) ++l;
      groups.push_back({d, end - d, first, l - first});
    }
  }
  return groups;
}

/// The slots of a category by descending score; equal scores by image, then rank.
std::vector<std::uint32_t> slots_by_score(const CocoSet& set, const Order& detections, std::size_t category) {
  struct Keyed {
    double score;
    std::uint32_t slot;
  };
  std::vector<Keyed> keyed;
  keyed.reserve(detections.begin[category + 1] - detections.begin[category]);
  for (std::uint32_t slot = detections.begin[category]; slot < detections.begin[category + 1]; ++slot) {
    keyed.push_back({set.detections[detections.indices[slot]].score, slot});
  }
  std::sort(keyed.begin(), keyed.end(),
            [](const Keyed& a, const Keyed& b) { return a.score != b.score ? a.score > b.score : a.slot < b.slot; });
  std::vector<std::uint32_t> slots(keyed.size());
  std::transform(keyed.begin(), keyed.end(), slots.begin(), [](const Keyed& k) { return k.slot; });
  return slots;
}

/// Sums over one category; -1 where it has no label.
struct CategoryScores {
  std::array<std::array<double, kCocoThresholds>, kCocoAreas> precision_sum,
      recall;  ///< Of the 101 recalls; at 100 detections.
  std::array<double, kCocoThresholds> recall1, recall10;
};

/// Precision at the true positives of one threshold, in the order of scores. Recall rises, and precision peaks, nowhere
/// else, so that nothing else is needed for the envelope.
double sum_over_recalls(std::vector<double>& precision, double labels) {
  for (std::size_t i = precision.size(); i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);
  double sum = 0;
  std::size_t at = 0;
  for (std::size_t r = 0; r < kRecalls; ++r) {
    const double wanted = r + 1 == kRecalls ? 1.0 : static_cast<double>(r) * 0.01;
    while (at < precision.size() && static_cast<double>(at + 1) / labels < wanted) ++at;
    if (at == precision.size()) break;
    sum += precision[at];
  }
  return sum;
}

void score_area(std::span<const std::uint32_t> slots, std::span<const CocoOutcome> outcomes, std::size_t area,
                double labels, CategoryScores& scores) {
  std::array<std::vector<double>, kCocoThresholds> precision;
  std::array<std::uint32_t, kCocoThresholds> ignored{};
  std::uint32_t seen = 0;
  for (const std::uint32_t slot : slots) {
    const std::uint16_t skip = outcomes[slot].ignored[area];
    if (skip == kAllThresholds) continue;
    ++seen;
    for (unsigned bits = skip; bits != 0; bits &= bits - 1) ++ignored[static_cast<std::size_t>(std::countr_zero(bits))];
    for (unsigned bits = outcomes[slot].matched[area] & ~unsigned{skip}; bits != 0; bits &= bits - 1) {
      const auto t = static_cast<std::size_t>(std::countr_zero(bits));
      const double counted = seen - ignored[t], correct = static_cast<double>(precision[t].size() + 1);
      precision[t].push_back(correct / (counted + std::numeric_limits<double>::epsilon()));
    }
  }
  for (std::size_t t = 0; t < kCocoThresholds; ++t) {
    scores.recall[area][t] = static_cast<double>(precision[t].size()) / labels;
    scores.precision_sum[area][t] = sum_over_recalls(precision[t], labels);
  }
}

/// Recall when only the first `most` detections of an image count.
std::array<double, kCocoThresholds> recall_within(std::size_t most, std::span<const std::uint32_t> slots,
                                                  std::span<const CocoOutcome> outcomes,
                                                  std::span<const std::uint8_t> ranks, double labels) {
  std::array<double, kCocoThresholds> recall{};
  for (const std::uint32_t slot : slots) {
    if (ranks[slot] >= most) continue;
    const unsigned correct = outcomes[slot].matched[0] & ~unsigned{outcomes[slot].ignored[0]};
    for (unsigned bits = correct; bits != 0; bits &= bits - 1)
      ++recall[static_cast<std::size_t>(std::countr_zero(bits))];
  }
  for (double& value : recall) value /= labels;
  return recall;
}

std::array<double, kCocoAreas> labels_by_area(const CocoSet& set, const Order& labels, std::size_t category) {
  std::array<double, kCocoAreas> count{};
  for (std::uint32_t l = labels.begin[category]; l < labels.begin[category + 1]; ++l) {
    const CocoLabel& label = set.labels[labels.indices[l]];
    for (int a = 0; a < kCocoAreas; ++a) {
      count[static_cast<std::size_t>(a)] += !label.crowd && !outside_coco_area(label.area, a);
    }
  }
  return count;
}

/// Mean over categories and thresholds of what was scored.
class Mean {
 public:
  void add(double value) { sum_ += value, ++count_; }
  double value(double divisor = 1) const { return count_ == 0 ? -1 : sum_ / divisor / static_cast<double>(count_); }

 private:
  double sum_ = 0;
  std::size_t count_ = 0;
};

CocoAveragePrecision means_of(const std::vector<CategoryScores>& categories) {
  std::array<Mean, kCocoAreas> ap, ar;
  Mean ap50, ap75, ar1, ar10;
  for (const CategoryScores& scores : categories) {
    for (std::size_t a = 0; a < kCocoAreas; ++a) {
      if (scores.recall[a][0] < 0) continue;
      for (std::size_t t = 0; t < kCocoThresholds; ++t) {
        ap[a].add(scores.precision_sum[a][t]), ar[a].add(scores.recall[a][t]);
        if (a == 0) ar1.add(scores.recall1[t]), ar10.add(scores.recall10[t]);
      }
      if (a == 0) ap50.add(scores.precision_sum[0][0]), ap75.add(scores.precision_sum[0][5]);
    }
  }
  constexpr double r = kRecalls;
  return {ap[0].value(r), ap50.value(r), ap75.value(r), ap[1].value(r), ap[2].value(r), ap[3].value(r),
          ar1.value(),    ar10.value(),  ar[0].value(), ar[1].value(),  ar[2].value(),  ar[3].value()};
}

}  // namespace

CocoAveragePrecision coco_average_precision(const CocoSet& set, int threads) {
  check_records(set.labels, set, "label");
  check_records(set.detections, set, "detection");
  const Order labels = order_of(set.labels, set);
  Order detections = order_of(set.detections, set);
  const std::vector<CocoGroup> groups = groups_of(set, labels, detections);
  std::vector<CocoOutcome> outcomes(set.detections.size());
  std::vector<std::uint8_t> ranks(set.detections.size());
  parallel_for((groups.size() + kChunk - 1) / kChunk, threads, [&](std::size_t chunk) {
    CocoMatcher matcher;
    for (std::size_t g = chunk * kChunk; g < std::min(groups.size(), (chunk + 1) * kChunk); ++g) {
      matcher.match(set, groups[g], detections.indices, labels.indices, outcomes, ranks);
    }
  });
  std::vector<CategoryScores> categories(set.categories);
  parallel_for(set.categories, threads, [&](std::size_t c) {
    CategoryScores& scores = categories[c];
    const auto counts = labels_by_area(set, labels, c);
    for (auto& recall : scores.recall) recall.fill(-1);
    if (counts[0] == 0) return;  // then no range of sizes has a label either
    const auto slots = slots_by_score(set, detections, c);
    for (std::size_t a = 0; a < kCocoAreas; ++a) {
      if (counts[a] > 0) score_area(slots, outcomes, a, counts[a], scores);
    }
    scores.recall1 = recall_within(1, slots, outcomes, ranks, counts[0]);
    scores.recall10 = recall_within(10, slots, outcomes, ranks, counts[0]);
  });
  return means_of(categories);
}

}  // namespace valbench
