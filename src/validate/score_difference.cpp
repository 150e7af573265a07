#include "validate/score_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <span>

namespace valbench {
namespace {

/// An image of a score and what belongs to it.
struct ImageScore {
  std::int64_t id = 0;
  std::span<const MatchedDetection> detections;
  std::span<const std::uint16_t> labels;
};

/// Ascending by id; the order of equal ones is kept.
std::vector<ImageScore> images_of(const MatchSet& set) {
  std::vector<ImageScore> images;
  std::size_t detection = 0, label = 0;
  for (const MatchSet::Image& image : set.images) {
    images.push_back({image.id, std::span(set.detections).subspan(detection, image.detections),
                      std::span(set.label_classes).subspan(label, image.labels)});
    detection += image.detections;
    label += image.labels;
  }
  std::stable_sort(images.begin(), images.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return images;
}

std::string name_of(std::int64_t id, const YoloDataset& dataset) {
  const bool known = id >= 0 && id < static_cast<std::int64_t>(dataset.images.size());
  return known ? fmt::format("image {} ({})", id, dataset.images[static_cast<std::size_t>(id)].file.filename().string())
               : fmt::format("image {}", id);
}

bool same_bits(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

std::string difference_in_images(const std::vector<ImageScore>& result, const std::vector<ImageScore>& reference, const YoloDataset& dataset) {
  auto r = result.begin();
  for (auto e = reference.begin(); e != reference.end(); ++e) {
    if (r == result.end() || r->id > e->id) return name_of(e->id, dataset) + " was not scored";
    if (r->id < e->id) break;
    if (++r != result.end() && r->id == e->id) return name_of(e->id, dataset) + " was scored more than once";
  }
  return r == result.end() ? "" : name_of(r->id, dataset) + " is not to be scored";
}

std::string difference_in_image(const ImageScore& result, const ImageScore& reference) {
  for (std::size_t d = 0; d < std::min(result.detections.size(), reference.detections.size()); ++d) {
    const MatchedDetection& a = result.detections[d];
    const MatchedDetection& b = reference.detections[d];
    if (!same_bits(a.score, b.score)) return fmt::format("detection {}: score {:.9g} != {:.9g}", d, a.score, b.score);
    if (a.cls != b.cls) return fmt::format("detection {}: class {} != {}", d, a.cls, b.cls);
    if (a.correct != b.correct) return fmt::format("detection {}: IoU thresholds passed {:#x} != {:#x}", d, a.correct, b.correct);
  }
  if (result.detections.size() != reference.detections.size()) {
    return fmt::format("{} detections != {}", result.detections.size(), reference.detections.size());
  }
  if (!std::equal(result.labels.begin(), result.labels.end(), reference.labels.begin(), reference.labels.end())) {
    return fmt::format("the classes of its {} labels differ ({} labels in the reference)", result.labels.size(), reference.labels.size());
  }
  return {};
}

std::string difference_in_losses(const std::vector<BatchLoss>& result, const std::vector<BatchLoss>& reference) {
  constexpr std::array<const char*, 3> kItems = {"box", "obj", "cls"};
  for (std::size_t b = 0; b < std::min(result.size(), reference.size()); ++b) {
    if (result[b].batch != reference[b].batch) return fmt::format("loss of batch {} != of batch {}", result[b].batch, reference[b].batch);
    for (std::size_t i = 0; i < kItems.size(); ++i) {
      const float x = result[b].items[i], y = reference[b].items[i];
      if (!same_bits(x, y)) return fmt::format("batch {}: {} loss {:.9g} != {:.9g}", result[b].batch, kItems[i], x, y);
    }
  }
  if (result.size() != reference.size()) return fmt::format("losses of {} batches != {}", result.size(), reference.size());
  return {};
}

}  // namespace

std::string first_difference(const PartialScore& result, const PartialScore& reference, const YoloDataset& dataset) {
  const std::vector<ImageScore> a = images_of(result.matches), b = images_of(reference.matches);
  if (std::string found = difference_in_images(a, b, dataset); !found.empty()) return found;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (const std::string found = difference_in_image(a[i], b[i]); !found.empty()) return name_of(b[i].id, dataset) + ", " + found;
  }
  return difference_in_losses(result.losses, reference.losses);
}

}  // namespace valbench
