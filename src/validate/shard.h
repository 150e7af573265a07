/// \file
/// How a validation is dealt to ranks.
#pragma once
#include <cstdint>
#include <vector>

#include "data/batch_plan.h"
#include "data/yolo_dataset.h"
#include "validate/partial_score.h"

namespace valbench {

/// What one rank scores.
struct Shard {
  std::vector<BatchPlan> batches;
  /// images_padded: one flag per image in the batches' order, set where the image is a repetition that fills the last round.
  std::vector<bool> repeated;
};

/// A rank's whole batches of the full plan, ascending. batches: dealt in turn. batches_balanced: the largest first, each to the rank with
/// the fewest pixels so far, so that ranks finish together where rect batches differ in shape.
std::vector<BatchPlan> share_of_batches(const std::vector<BatchPlan>& batches, ShardMode mode, int rank, int world_size);

/// images_padded: what torch's DistributedSampler without shuffling does to a validation. The images, in the set's order, are dealt in turn
/// after the list was filled to a multiple of `world_size` from its beginning; each rank then batches its own. Repetitions are scored
/// twice, and batches differ from rank 0's: the metrics are not those of the set (validation_strategies.md §3).
Shard share_of_images(const YoloDataset& dataset, const std::vector<std::int64_t>& images, const ValidationSpec& spec, int imgsz,
                      int batch_size, int stride, int rank, int world_size);

/// Gives repetitions ids of their own, above those of the set's images, so that they count as further images.
void separate_repetitions(const Shard& shard, std::int64_t dataset_images, int rank, int world_size, PartialScore& score);

}  // namespace valbench
