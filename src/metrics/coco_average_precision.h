/// \file
/// Average precision and recall by the definition of the COCO challenge: the twelve numbers of pycocotools for boxes.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace valbench {

/// A ground-truth box of a COCO file; x and y are its upper left corner.
struct CocoLabel {
  double x = 0, y = 0, w = 0, h = 0;
  double area = 0;                        ///< As the file says: of the object, not always w * h. Decides its size.
  std::uint32_t image = 0, category = 0;  ///< Indices into the ids in ascending order.
  bool crowd = false;                     ///< May match many detections; counts neither for nor against anything.
  bool zero_id = false;                   ///< Its id is 0: pycocotools takes a match with it for no match; so do we.
};

/// A detection of a COCO results file.
struct CocoDetection {
  double x = 0, y = 0, w = 0, h = 0, score = 0;
  std::uint32_t image = 0, category = 0;
};

/// What is to be scored. Order matters among equal scores only: lower image index first, then the order in
/// `detections`.
struct CocoSet {
  std::uint32_t images = 0, categories = 0;
  std::vector<CocoLabel> labels;
  std::vector<CocoDetection> detections;
};

/// Each number is a mean over the categories that have labels in its range of sizes; -1 where none has.
struct CocoAveragePrecision {
  double ap = -1, ap50 = -1, ap75 = -1, ap_small = -1, ap_medium = -1, ap_large = -1;
  double ar1 = -1, ar10 = -1, ar100 = -1, ar_small = -1, ar_medium = -1, ar_large = -1;
  std::array<double, 12> numbers() const {
    return {ap, ap50, ap75, ap_small, ap_medium, ap_large, ar1, ar10, ar100, ar_small, ar_medium, ar_large};
  }
};

/// Scores the set on up to `threads` threads; equal bits for any number of them. Throws InputError for an index that is
/// out of range and for a score or box that is not finite.
CocoAveragePrecision coco_average_precision(const CocoSet& set, int threads = 1);

}  // namespace valbench
