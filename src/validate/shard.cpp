#include "validate/shard.h"

#include <algorithm>
#include <map>
#include <set>

namespace valbench {
namespace {

std::int64_t pixels(const BatchPlan& batch) { return static_cast<std::int64_t>(batch.images.size()) * batch.height * batch.width; }

std::vector<BatchPlan> balanced_share(const std::vector<BatchPlan>& batches, int rank, int world_size) {
  std::vector<const BatchPlan*> order;
  for (const BatchPlan& batch : batches) order.push_back(&batch);
  std::stable_sort(order.begin(), order.end(), [](const BatchPlan* a, const BatchPlan* b) { return pixels(*a) > pixels(*b); });
  std::vector<std::int64_t> load(static_cast<std::size_t>(world_size), 0);
  std::vector<BatchPlan> share;
  for (const BatchPlan* batch : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += pixels(*batch);
    if (least - load.begin() == rank) share.push_back(*batch);
  }
  std::sort(share.begin(), share.end(), [](const BatchPlan& a, const BatchPlan& b) { return a.index < b.index; });
  return share;
}

}  // namespace

std::vector<BatchPlan> share_of_batches(const std::vector<BatchPlan>& batches, ShardMode mode, int rank, int world_size) {
  if (mode == ShardMode::batches_balanced) return balanced_share(batches, rank, world_size);
  std::vector<BatchPlan> share;
  for (const BatchPlan& batch : batches) {
    if (batch.index % world_size == rank) share.push_back(batch);
  }
  return share;
}

Shard share_of_images(const YoloDataset& dataset, const std::vector<std::int64_t>& images, const ValidationSpec& spec, int imgsz,
                      int batch_size, int stride, int rank, int world_size) {
  const std::size_t total = images.size(), world = static_cast<std::size_t>(world_size);
  std::vector<std::int64_t> mine;
  std::set<std::int64_t> own;  // Images that this rank scores as themselves, not as a repetition.
  for (std::size_t i = static_cast<std::size_t>(rank); i < (total + world - 1) / world * world; i += world) {
    mine.push_back(images[i % total]);
    if (i < total) own.insert(images[i]);
  }
  Shard shard{plan_validation_batches(dataset, mine, imgsz, batch_size, stride, spec.shape), {}};
  for (BatchPlan& batch : shard.batches) {
    batch.index = batch.index * world_size + rank;  // Losses are merged by index: no two ranks may share one.
    for (const std::int64_t image : batch.images) shard.repeated.push_back(own.erase(image) == 0);
  }
  return shard;
}

void separate_repetitions(const Shard& shard, std::int64_t dataset_images, int rank, int world_size, PartialScore& score) {
  std::map<std::int64_t, std::int64_t> seen;
  for (std::size_t i = 0; i < score.matches.images.size(); ++i) {
    if (!shard.repeated.at(i)) continue;
    std::int64_t& id = score.matches.images[i].id;
    id += dataset_images * (1 + rank + world_size * seen[id]++);
  }
}

}  // namespace valbench
