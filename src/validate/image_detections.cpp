#include "validate/image_detections.h"

#include <map>

#include "comm/value_bytes.h"

namespace valbench {
ConfusionMatrix gather_confusion(Communicator& communicator, const ConfusionMatrix& mine) {
  ConfusionMatrix all(mine.classes());
  for (const auto& bytes : communicator.gather_bytes(bytes_of(mine.counts()), 0)) {
    all.add(ConfusionMatrix(mine.classes(), values_of<std::int64_t>(bytes)));
  }
  return all;
}

std::vector<ImageDetections> gather_detections(Communicator& communicator, const std::vector<BatchPlan>& plan,
                                               const std::vector<ImageDetections>& mine) {
  std::vector<std::int64_t> heads;
  std::vector<Detection> rows;
  for (const ImageDetections& image : mine) {
    heads.push_back(image.image);
    heads.push_back(static_cast<std::int64_t>(image.detections.size()));
    rows.insert(rows.end(), image.detections.begin(), image.detections.end());
  }
  const auto all_heads = communicator.gather_bytes(bytes_of(heads), 0);
  const auto all_rows = communicator.gather_bytes(bytes_of(rows), 0);
  std::map<std::int64_t, std::vector<Detection>> by_image;
  for (std::size_t rank = 0; rank < all_heads.size(); ++rank) {
    const auto head = values_of<std::int64_t>(all_heads[rank]);
    const auto row = values_of<Detection>(all_rows[rank]);
    auto next = row.begin();
    for (std::size_t i = 0; i + 1 < head.size(); i += 2) {
      by_image[head[i]].assign(next, next + head[i + 1]);
      next += head[i + 1];
    }
  }
  std::vector<ImageDetections> ordered;
  for (const BatchPlan& batch : plan) {
    for (const std::int64_t image : batch.images) {
      if (const auto found = by_image.find(image); found != by_image.end()) ordered.push_back({image, found->second});
    }
  }
  return ordered;
}

}  // namespace valbench
