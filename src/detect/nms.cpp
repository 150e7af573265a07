#include "detect/nms.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "base/parallel_for.h"
#include "detect/nms_candidates.h"

namespace valbench {
namespace {

constexpr float kClassOffset = 7680;  // YOLOv5's max_wh: moves the classes apart

/// Boxes kept so far that can overlap each other, with the coordinates that suppression compares.
struct KeptBoxes {
  std::vector<float> x1, y1, x2, y2, area;

  bool suppress(float bx1, float by1, float bx2, float by2, float box_area, double iou) const {
    for (std::size_t i = 0; i < x1.size(); ++i) {
      const float w = std::min(x2[i], bx2) - std::max(x1[i], bx1), h = std::min(y2[i], by2) - std::max(y1[i], by1);
      if (w <= 0 || h <= 0) continue;
      const float intersection = w * h;
      if (static_cast<double>(intersection / (area[i] + box_area - intersection)) > iou) return true;
    }
    return false;
  }

  void add(float bx1, float by1, float bx2, float by2, float box_area) {
    x1.push_back(bx1), y1.push_back(by1), x2.push_back(bx2), y2.push_back(by2), area.push_back(box_area);
  }
};

// Descending score, equal scores in candidate order: every key differs, so that any sort is stable. Scores are
// positive, where the bits of floats are ordered like the floats.
std::uint64_t sort_key(float score, std::size_t index) {
  return (static_cast<std::uint64_t>(~std::bit_cast<std::uint32_t>(score)) << 32) | index;
}

/// Hands out candidates in sort order. Suppression mostly ends after a few hundred: only blocks of growing size get
/// sorted.
class SortedCandidates {
 public:
  SortedCandidates(const std::vector<Detection>& candidates, std::size_t limit) {
    keys_.reserve(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) keys_.push_back(sort_key(candidates[i].score, i));
    limit_ = std::min(limit, keys_.size());
  }
  /// Index of the next candidate, or -1.
  std::int64_t next() {
    if (next_ == limit_) return -1;
    if (next_ == sorted_) sort_block();
    return static_cast<std::int64_t>(keys_[next_++] & 0xffffffffu);
  }

 private:
  void sort_block() {
    const std::size_t end = std::min(limit_, std::max<std::size_t>(1024, 2 * sorted_));
    const auto at = [&](std::size_t i) { return keys_.begin() + static_cast<std::ptrdiff_t>(i); };
    if (end < keys_.size()) std::nth_element(at(sorted_), at(end), keys_.end());
    std::sort(at(sorted_), at(end));
    sorted_ = end;
  }
  std::vector<std::uint64_t> keys_;
  std::size_t limit_ = 0, sorted_ = 0, next_ = 0;
};

// Boxes of different classes never meet when no coordinate reaches half the offset: then each class has its own list.
bool classes_are_apart(const std::vector<Detection>& candidates) {
  float low = 0, high = 0;
  for (const Detection& d : candidates) {
    low = std::min({low, d.x1, d.y1, d.x2, d.y2});
    high = std::max({high, d.x1, d.y1, d.x2, d.y2});
  }
  return high - low < kClassOffset - 16;  // 16 px: far above the rounding of shifted corners
}

struct Suppressed {
  std::vector<Detection> kept;
  bool limit_hit = false;
};

Suppressed suppress(const std::vector<Detection>& candidates, const NmsOptions& options, int classes) {
  Suppressed out;
  const bool one_list = options.agnostic || !classes_are_apart(candidates);
  std::vector<KeptBoxes> lists(one_list ? 1 : static_cast<std::size_t>(classes));
  SortedCandidates order(candidates, static_cast<std::size_t>(options.max_candidates));
  for (std::int64_t i = order.next(); i >= 0; i = order.next()) {
    const Detection& d = candidates[static_cast<std::size_t>(i)];
    // In float32 as YOLOv5 has it: the offset rounds corners by about 1e-3 px, and that decides some overlaps.
    const float offset = options.agnostic ? 0 : d.cls * kClassOffset;
    const float x1 = d.x1 + offset, y1 = d.y1 + offset, x2 = d.x2 + offset, y2 = d.y2 + offset;
    const float area = (x2 - x1) * (y2 - y1);
    KeptBoxes& list = lists[one_list ? 0 : static_cast<std::size_t>(d.cls)];
    if (list.suppress(x1, y1, x2, y2, area, options.iou)) continue;
    if (out.kept.size() == static_cast<std::size_t>(options.max_detections)) {
      out.limit_hit = true;
      break;
    }
    list.add(x1, y1, x2, y2, area);
    out.kept.push_back(d);
  }
  return out;
}

}  // namespace

NmsResult non_maximum_suppression(const at::Tensor& prediction, const NmsOptions& options) {
  const at::NoGradGuard no_grad;
  const auto images = static_cast<std::size_t>(prediction.size(0));
  const int classes = static_cast<int>(prediction.size(2)) - 5;
  const bool scan_on_host = prediction.is_cpu() && prediction.scalar_type() == at::kFloat;
  const at::Tensor rows = scan_on_host ? prediction.contiguous() : at::Tensor();
  std::vector<std::vector<Detection>> gathered(images);
  if (!scan_on_host) gathered = gather_candidates(prediction, options);

  NmsResult result;
  result.images.resize(images);
  result.candidates.resize(images);
  std::atomic<std::int64_t> candidate_limit_hits = 0, detection_limit_hits = 0;
  parallel_for(images, options.threads, [&](std::size_t i) {
    std::vector<Detection> candidates = std::move(gathered[i]);
    if (scan_on_host) {
      candidates = scan_candidates(rows.const_data_ptr<float>() + static_cast<std::int64_t>(i) * rows.stride(0),
                                   rows.size(1), classes, options);
    }
    Suppressed suppressed = suppress(candidates, options, classes);
    const auto limit = static_cast<std::size_t>(options.max_candidates);
    result.candidates[i] = static_cast<std::int64_t>(std::min(candidates.size(), limit));
    result.images[i] = std::move(suppressed.kept);
    if (candidates.size() > limit) ++candidate_limit_hits;
    if (suppressed.limit_hit) ++detection_limit_hits;
  });
  result.candidate_limit_hits = candidate_limit_hits;
  result.detection_limit_hits = detection_limit_hits;
  return result;
}

}  // namespace valbench
