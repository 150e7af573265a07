#include "metrics/coco_matching.h"

#include <algorithm>
#include <cmath>

namespace valbench {
namespace {

constexpr std::array<double, kCocoAreas> kLow = {0, 0, 32 * 32, 96 * 96}, kHigh = {1e10, 32 * 32, 96 * 96, 1e10};

/// The thresholds to the last bit: a start and multiples of the rounded step.
const std::array<double, kCocoThresholds>& thresholds() {
  static const auto values = [] {
    std::array<double, kCocoThresholds> out{};
    const double step = (0.95 - 0.5) / (kCocoThresholds - 1);
    for (int t = 0; t < kCocoThresholds; ++t) out[static_cast<std::size_t>(t)] = t * step + 0.5;
    out.back() = 0.95;
    return out;
  }();
  return values;
}

/// A crowd is matched by the share of the detection that lies in it.
double coco_iou(const CocoDetection& detection, const CocoLabel& label) {
  const double width = std::min(detection.w + detection.x, label.w + label.x) - std::max(detection.x, label.x);
  if (width <= 0) return 0;
  const double height = std::min(detection.h + detection.y, label.h + label.y) - std::max(detection.y, label.y);
  if (height <= 0) return 0;
  const double intersection = width * height, area = detection.w * detection.h;
  return intersection / (label.crowd ? area : area + label.w * label.h - intersection);
}

}  // namespace

bool outside_coco_area(double area, int range) {
  const auto r = static_cast<std::size_t>(range);
  return area < kLow[r] || area > kHigh[r];
}

void CocoMatcher::find_candidates(const CocoSet& set, const CocoDetection& detection,
                                  std::span<const std::uint32_t> labels) {
  candidates_.clear();
  for (std::size_t g = 0; g < labels.size(); ++g) {
    const double iou = coco_iou(detection, set.labels[labels[g]]);
    if (iou >= thresholds()[0]) candidates_.push_back({static_cast<std::uint32_t>(g), iou});
  }
}

// At each threshold a detection takes the label of the highest IoU that is still free, the later one of equals; one
// that is ignored only if no other reaches the threshold. A crowd is always free.
void CocoMatcher::match_in_area(int area, CocoOutcome& outcome) {
  const auto a = static_cast<std::size_t>(area);
  for (std::size_t t = 0; t < kCocoThresholds; ++t) {
    const auto bit = static_cast<std::uint16_t>(1u << t);
    const Candidate* best = nullptr;
    const auto search = [&](bool ignored) {
      double least = thresholds()[t];
      for (const Candidate& candidate : candidates_) {
        const std::size_t g = candidate.label;
        if (((left_out_[g] >> area & 1) != 0) != ignored || candidate.iou < least) continue;
        if ((taken_[g][a] & bit) != 0 && crowd_[g] == 0) continue;
        best = &candidate, least = candidate.iou;
      }
    };
    search(false);
    const bool ignored = best == nullptr;
    if (ignored) search(true);
    if (best == nullptr) {
      if (std::none_of(candidates_.begin(), candidates_.end(),
                       [&](const Candidate& c) { return c.iou >= thresholds()[t]; })) {
        return;  // nor does any reach the higher thresholds
      }
      continue;
    }
    taken_[best->label][a] |= bit;
    if (zero_id_[best->label] == 0) outcome.matched[a] |= bit;
    if (ignored) outcome.ignored[a] |= bit;
  }
}

void CocoMatcher::match(const CocoSet& set, const CocoGroup& group, std::span<std::uint32_t> detection_order,
                        std::span<const std::uint32_t> label_order, std::span<CocoOutcome> outcomes,
                        std::span<std::uint8_t> ranks) {
  const auto order = detection_order.subspan(group.first_detection, group.detections);
  const auto labels = label_order.subspan(group.first_label, group.labels);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const double left = set.detections[a].score, right = set.detections[b].score;
    return left != right ? left > right : a < b;
  });
  left_out_.assign(labels.size(), 0), crowd_.assign(labels.size(), 0), zero_id_.assign(labels.size(), 0);
  taken_.assign(labels.size(), {});
  for (std::size_t g = 0; g < labels.size(); ++g) {
    const CocoLabel& label = set.labels[labels[g]];
    crowd_[g] = label.crowd, zero_id_[g] = label.zero_id;
    for (int a = 0; a < kCocoAreas; ++a) {
      if (label.crowd || outside_coco_area(label.area, a)) left_out_[g] |= static_cast<std::uint8_t>(1u << a);
    }
  }
  for (std::size_t d = 0; d < order.size(); ++d) {
    CocoOutcome outcome;
    const std::size_t slot = group.first_detection + d;
    ranks[slot] = static_cast<std::uint8_t>(std::min(d, kCocoMaxDetections));
    const CocoDetection& detection = set.detections[order[d]];
    if (d < kCocoMaxDetections && !labels.empty())
      find_candidates(set, detection, labels);
    else
      candidates_.clear();
    for (int area = 0; area < kCocoAreas; ++area) {
      const auto a = static_cast<std::size_t>(area);
      if (!candidates_.empty()) match_in_area(area, outcome);
      const bool out = d >= kCocoMaxDetections || outside_coco_area(detection.w * detection.h, area);
      if (out) outcome.ignored[a] |= kAllThresholds & static_cast<std::uint16_t>(~outcome.matched[a]);
    }
    outcomes[slot] = outcome;
  }
}

}  // namespace valbench
