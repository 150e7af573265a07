/// \file
/// Anchors for a set of labels (reference yolov5.md §1.10): how well they fit, and k-means with a genetic search for better
/// ones. Equal input and seed give equal anchors on any number of threads.
#pragma once
#include <cstdint>
#include <vector>

namespace valbench {

/// Width and height in pixels of the network's input.
struct BoxSize {
  float w = 0, h = 0;
};

struct AnchorFit {
  double best_recall = 0;   ///< Share of labels that at least one anchor can be matched with (bpr).
  double per_label = 0;     ///< Mean number of such anchors (aat).
};

/// An anchor can be matched where no side differs by more than the factor `anchor_t`.
AnchorFit measure_anchors(const std::vector<BoxSize>& labels, const std::vector<BoxSize>& anchors, double anchor_t);

struct AnchorSearch {
  int count = 9;
  double imgsz = 640, anchor_t = 4;
  int generations = 1000;
  int restarts = 30;  ///< Of k-means; the one with the smallest mean distance is kept.
  std::uint64_t seed = 0;
  int threads = 1;
};

/// Anchors sorted by area. Random ones where there are fewer labels of 2 px and more than anchors.
std::vector<BoxSize> search_anchors(const std::vector<BoxSize>& labels, const AnchorSearch& search);

/// The quantity that the genetic search raises: mean over the labels of the best side ratio, 0 where it cannot match.
double anchor_fitness(const std::vector<BoxSize>& labels, const std::vector<BoxSize>& anchors, double anchor_t,
                      int threads);

}  // namespace valbench
