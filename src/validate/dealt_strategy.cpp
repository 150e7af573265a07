#include "validate/dealt_strategy.h"

namespace valbench {

DealtStrategy::DealtStrategy(const ValidationContext& given) : BlockingStrategy(given) {
  const ValidationSpec& spec = given.spec.validation;
  const int rank = given.communicator.rank(), world_size = given.communicator.world_size();
  if (spec.shard == ShardMode::images_padded) {
    shard_ = share_of_images(*given.dataset, validation_subset(*given.dataset, spec), spec, given.spec.imgsz, plan().batch_size,
                             size_multiple(given.prototype), rank, world_size);
  } else {
    shard_.batches = share_of_batches(plan().batches, spec.shard, rank, world_size);
  }
  use_batches(shard_.batches);
}

PartialScore DealtStrategy::score_share(FoundDetections& found) {
  PartialScore mine = scorer().score(files().sink(found));
  if (!shard_.repeated.empty()) {
    separate_repetitions(shard_, static_cast<std::int64_t>(context().dataset->images.size()), context().communicator.rank(),
                         context().communicator.world_size(), mine);
  }
  return mine;
}

}  // namespace valbench
