#include "metrics/matching.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "base/parallel_for.h"
#include "metrics/box_iou.h"

namespace valbench {
namespace {

constexpr std::array<float, kIouThresholds> kThresholds = {.5f, .55f, .6f, .65f, .7f, .75f, .8f, .85f, .9f, .95f};

// Every detection wants its best label of the same class whatever the threshold; every label goes to the first (most
// confident) detection that wants it. So one pass gives all ten thresholds: a label keeps a bit for each at which it is
// taken.
void match_boxes(std::span<const Detection> detections, std::span<const Label> labels,
                 std::vector<std::uint16_t>& taken, MatchedDetection* out) {
  taken.assign(labels.size(), 0);
  for (const Detection& detection : detections) {
    float best = 0;
    std::size_t best_label = labels.size();
    for (std::size_t l = 0; l < labels.size(); ++l) {
      if (labels[l].cls != detection.cls) continue;
      const float iou = box_iou(labels[l], detection);
      // Equal IoU: the later label, as a reversed stable sort of label-major pairs has it.
      if (iou >= best) best = iou, best_label = l;
    }
    std::uint16_t correct = 0;
    if (best_label < labels.size()) {
      for (int t = 0; t < kIouThresholds && best >= kThresholds[static_cast<std::size_t>(t)]; ++t) {
        correct = static_cast<std::uint16_t>(correct | 1u << t);
      }
      correct = static_cast<std::uint16_t>(correct & ~taken[best_label]);
      taken[best_label] = static_cast<std::uint16_t>(taken[best_label] | correct);
    }
    *out++ = {detection.score, static_cast<std::uint16_t>(detection.cls), correct};
  }
}

[[noreturn]] void throw_duplicate(std::int64_t id) {
  throw Error("image " + std::to_string(id) +
              " was scored twice; each image of a validation set belongs to one part only");
}

// An image of one of several parts, and where its entries begin there.
struct ImageSource {
  MatchSet::Image image;
  const MatchedDetection* detections;
  const std::uint16_t* label_classes;
};

std::vector<ImageSource> sources_by_id(std::span<const MatchSet> parts) {
  std::vector<ImageSource> sources;
  for (const MatchSet& part : parts) {
    std::size_t detections = 0, labels = 0;
    for (const MatchSet::Image& image : part.images) {
      sources.push_back({image, part.detections.data() + detections, part.label_classes.data() + labels});
      detections += image.detections;
      labels += image.labels;
    }
    if (detections != part.detections.size() || labels != part.label_classes.size()) {
      throw Error("a part of the matches counts " + std::to_string(detections) + " detections and " +
                  std::to_string(labels) + " labels over its images, but holds " +
                  std::to_string(part.detections.size()) + " and " + std::to_string(part.label_classes.size()));
    }
  }
  std::sort(sources.begin(), sources.end(), [](const auto& a, const auto& b) { return a.image.id < b.image.id; });
  return sources;
}

}  // namespace

void match_image(std::int64_t image_id, std::span<const Detection> detections, std::span<const Label> labels,
                 MatchSet& out) {
  std::vector<std::uint16_t> taken;
  const std::size_t begin = out.detections.size();
  out.detections.resize(begin + detections.size());
  match_boxes(detections, labels, taken, out.detections.data() + begin);
  for (const Label& label : labels) out.label_classes.push_back(static_cast<std::uint16_t>(label.cls));
  out.images.push_back(
      {image_id, static_cast<std::uint32_t>(detections.size()), static_cast<std::uint32_t>(labels.size())});
}

MatchSet match_set(std::span<const ImageBoxes> images, int threads) {
  std::vector<ImageBoxes> sorted(images.begin(), images.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  MatchSet out;
  out.images.reserve(sorted.size());
  std::vector<std::size_t> detection_begins(sorted.size()), label_begins(sorted.size());
  std::size_t detections = 0, labels = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i > 0 && sorted[i].id == sorted[i - 1].id) throw_duplicate(sorted[i].id);
    out.images.push_back({sorted[i].id, static_cast<std::uint32_t>(sorted[i].detections.size()),
                          static_cast<std::uint32_t>(sorted[i].labels.size())});
    detection_begins[i] = detections;
    label_begins[i] = labels;
    detections += sorted[i].detections.size();
    labels += sorted[i].labels.size();
  }
  out.detections.resize(detections);
  out.label_classes.resize(labels);
  // Chunks of images, so that the scratch space is allocated once for many of them.
  constexpr std::size_t kChunk = 64;
  parallel_for((sorted.size() + kChunk - 1) / kChunk, threads, [&](std::size_t chunk) {
    std::vector<std::uint16_t> taken;
    for (std::size_t i = chunk * kChunk; i < std::min(sorted.size(), (chunk + 1) * kChunk); ++i) {
      match_boxes(sorted[i].detections, sorted[i].labels, taken, out.detections.data() + detection_begins[i]);
      std::transform(sorted[i].labels.begin(), sorted[i].labels.end(), out.label_classes.data() + label_begins[i],
                     [](const Label& label) { return static_cast<std::uint16_t>(label.cls); });
    }
  });
  return out;
}

MatchSet merge_matches(std::span<const MatchSet> parts) {
  const std::vector<ImageSource> sources = sources_by_id(parts);
  MatchSet out;
  out.images.reserve(sources.size());
  for (const ImageSource& source : sources) {
    if (!out.images.empty() && out.images.back().id == source.image.id) throw_duplicate(source.image.id);
    out.images.push_back(source.image);
    out.detections.insert(out.detections.end(), source.detections, source.detections + source.image.detections);
    out.label_classes.insert(out.label_classes.end(), source.label_classes, source.label_classes + source.image.labels);
  }
  return out;
}

}  // namespace valbench
