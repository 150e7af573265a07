#include "metrics/confusion_matrix.h"

#include <string>

#include "base/error.h"
#include "metrics/box_iou.h"

namespace valbench {
namespace {
constexpr float kMinScore = .25f;
constexpr float kMinIou = .45f;
}  // namespace

ConfusionMatrix::ConfusionMatrix(int classes)
    : classes_(classes), counts_(static_cast<std::size_t>(classes + 1) * static_cast<std::size_t>(classes + 1)) {}

ConfusionMatrix::ConfusionMatrix(int classes, std::vector<std::int64_t> counts)
    : classes_(classes), counts_(std::move(counts)) {
  if (counts_.size() != static_cast<std::size_t>(classes + 1) * static_cast<std::size_t>(classes + 1)) {
    throw Error(std::to_string(counts_.size()) + " counts do not make a confusion matrix of " + std::to_string(classes) +
                " classes");
  }
}

std::int64_t& ConfusionMatrix::at(int predicted, int truth) {
  return counts_[static_cast<std::size_t>(predicted) * static_cast<std::size_t>(classes_ + 1) +
                 static_cast<std::size_t>(truth)];
}

std::int64_t ConfusionMatrix::count(int predicted, int truth) const {
  return counts_.at(static_cast<std::size_t>(predicted) * static_cast<std::size_t>(classes_ + 1) +
                    static_cast<std::size_t>(truth));
}

int ConfusionMatrix::class_index(float cls) const {
  if (!(cls >= 0) || cls >= static_cast<float>(classes_)) {
    throw Error("class " + std::to_string(cls) + " does not fit a confusion matrix of " + std::to_string(classes_) +
                " classes");
  }
  return static_cast<int>(cls);
}

void ConfusionMatrix::add_image(std::span<const Detection> detections, std::span<const Label> labels) {
  if (labels.empty()) return;
  constexpr int kFree = -1;
  struct Match {
    float iou = 0;
    int predicted = kFree;
  };
  std::vector<Match> matches(labels.size());
  std::vector<int> wanted(detections.size(), kFree);  // label of each detection
  // Each detection takes its best label, then each label keeps the detection of largest IoU; equal IoU: the later one.
  for (std::size_t d = 0; d < detections.size(); ++d) {
    if (!(detections[d].score > kMinScore)) continue;
    float best = kMinIou;
    for (std::size_t l = 0; l < labels.size(); ++l) {
      const float iou = box_iou(labels[l], detections[d]);
      if (iou > kMinIou && iou >= best) best = iou, wanted[d] = static_cast<int>(l);
    }
    if (wanted[d] == kFree) continue;
    Match& match = matches[static_cast<std::size_t>(wanted[d])];
    if (best >= match.iou) match = {best, static_cast<int>(d)};
  }
  bool any_match = false;
  for (std::size_t l = 0; l < labels.size(); ++l) {
    const int d = matches[l].predicted;
    any_match = any_match || d != kFree;
    ++at(d == kFree ? classes_ : class_index(detections[static_cast<std::size_t>(d)].cls), class_index(labels[l].cls));
  }
  if (!any_match) return;
  for (std::size_t d = 0; d < detections.size(); ++d) {
    if (!(detections[d].score > kMinScore)) continue;
    const bool matched =
        wanted[d] != kFree && matches[static_cast<std::size_t>(wanted[d])].predicted == static_cast<int>(d);
    if (!matched) ++at(class_index(detections[d].cls), classes_);
  }
}

void ConfusionMatrix::add(const ConfusionMatrix& other) {
  if (other.classes_ != classes_) {
    throw Error("a confusion matrix of " + std::to_string(other.classes_) + " classes cannot be added to one of " +
                std::to_string(classes_));
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

}  // namespace valbench
