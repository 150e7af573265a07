/// \file
/// Plain structs of detections, labels and their matches. No tensors: the same code scores one rank or many merged ranks.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace valbench {

/// A predicted box, corners in pixels of the original image.
struct Detection {
  float x1, y1, x2, y2;
  float score;
  float cls;  ///< Class index; float as in NMS rows.
};

/// A ground-truth box, corners in pixels of the original image.
struct Label {
  float cls;
  float x1, y1, x2, y2;
};

inline constexpr int kIouThresholds = 10;  ///< .50, .55, … .95

/// A detection after matching: 8 bytes, what ranks send to each other.
struct MatchedDetection {
  float score;
  std::uint16_t cls;
  std::uint16_t correct;  ///< Bit t: true positive at IoU threshold t.
};
static_assert(sizeof(MatchedDetection) == 8);

/// The matches of a set of images, in any order; merge_matches() brings parts into canonical order.
struct MatchSet {
  struct Image {
    std::int64_t id;            ///< Index of the image in the validation set.
    std::uint32_t detections;   ///< Number of its entries in `detections`.
    std::uint32_t labels;       ///< Number of its entries in `label_classes`.
  };
  std::vector<Image> images;
  std::vector<MatchedDetection> detections;   ///< Image after image; within an image in NMS order (descending score).
  std::vector<std::uint16_t> label_classes;   ///< Image after image.
};

}  // namespace valbench
