/// \file
/// The matching of COCO's definition: per image and category, in four ranges of sizes, at ten IoU thresholds.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "metrics/coco_average_precision.h"

namespace valbench {

inline constexpr int kCocoAreas = 4;                    ///< all, small, medium, large
inline constexpr int kCocoThresholds = 10;              ///< IoU .50, .55, … .95
inline constexpr std::size_t kCocoMaxDetections = 100;  ///< Per image and category, by score.
inline constexpr std::uint16_t kAllThresholds = (1u << kCocoThresholds) - 1;

/// What became of a detection. Bit t of a mask stands for threshold t; a detection is a true positive where it is
/// matched and not ignored, a false positive where neither.
struct CocoOutcome {
  std::array<std::uint16_t, kCocoAreas> matched{}, ignored{};
};

/// Labels and detections of one image and category, as ranges of the sorted orders.
struct CocoGroup {
  std::uint32_t first_detection, detections;
  std::uint32_t first_label, labels;
};

/// Buffers that the groups of a chunk share.
class CocoMatcher {
 public:
  /// Sorts the group's part of `detection_order` by descending score, ties in their order, and fills its outcomes and
  /// ranks (0 for the highest score). Detections after the first hundred are ignored everywhere.
  void match(const CocoSet& set, const CocoGroup& group, std::span<std::uint32_t> detection_order,
             std::span<const std::uint32_t> label_order, std::span<CocoOutcome> outcomes,
             std::span<std::uint8_t> ranks);

 private:
  struct Candidate {
    std::uint32_t label;  // within the group
    double iou;
  };
  void find_candidates(const CocoSet& set, const CocoDetection& detection, std::span<const std::uint32_t> labels);
  void match_in_area(int area, CocoOutcome& outcome);

  std::vector<Candidate> candidates_;
  std::vector<std::uint8_t> left_out_;  // per label, bit a: ignored in range a
  std::vector<std::uint8_t> crowd_, zero_id_;
  std::vector<std::array<std::uint16_t, kCocoAreas>> taken_;  // per label: thresholds where it has its detection
};

/// True when an object of this area does not belong to the range of sizes.
bool outside_coco_area(double area, int range);

}  // namespace valbench
