#include "validate/validation_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace valbench {

MemoryShares share_memory(double free_mib, int ranks, bool caches, double training_mib) {
  const double mine = free_mib / ranks;
  const double cache = caches ? kCacheMemoryShare * mine : 0;
  return {cache, std::max(0.0, kScoringMemoryShare * (mine - cache) - training_mib)};
}

BatchFit largest_batch(std::int64_t images, double budget_mib,
                       const std::function<std::optional<double>(int batch)>& measure) {
  BatchFit fit{0, 0, budget_mib};
  const std::int64_t most = std::min<std::int64_t>(images, kLargestValidationBatch);
  for (int batch = 1; batch <= most; batch *= 2) {
    const std::optional<double> mib = measure(batch);
    if (!mib || *mib > budget_mib) break;
    fit.batch = batch, fit.mib = *mib;
  }
  return fit;
}

SmallestFit smallest_fit(Communicator& communicator, const std::optional<BatchFit>& mine) {
  const auto bytes_of = [](const BatchFit& fit) { return std::as_bytes(std::span(&fit, 1)); };
  const auto gathered = communicator.gather_bytes(mine ? bytes_of(*mine) : std::span<const std::byte>{}, 0);
  SmallestFit smallest{-1, {}};
  for (std::size_t rank = 0; rank < gathered.size(); ++rank) {
    if (gathered[rank].size() != sizeof(BatchFit)) continue;  // It scores nothing.
    BatchFit fit;
    std::memcpy(&fit, gathered[rank].data(), sizeof fit);
    if (smallest.rank < 0 || fit.batch < smallest.fit.batch) smallest = {static_cast<int>(rank), fit};
  }
  const auto shared = communicator.broadcast_bytes(std::as_bytes(std::span(&smallest, 1)), 0);
  std::memcpy(&smallest, shared.data(), sizeof smallest);
  if (smallest.rank < 0) throw Error("batch_size max: no rank scores any batch");
  return smallest;
}

std::string describe_fit(const SmallestFit& smallest, std::int64_t images) {
  const auto& [rank, fit] = smallest;
  if (fit.batch < 1) {
    throw InputError(fmt::format(
        "validation.batch_size max: on rank {} not even one image can be scored in the {:.0f} MiB that a validation "
        "may take of the GPU's memory; make imgsz, the model or the training batch smaller",
        rank, fit.budget_mib));
  }
  std::string limit = "the next power of two takes more";
  if (2 * std::int64_t{fit.batch} > images) limit = fmt::format("there are {} images", images);
  if (2 * fit.batch > kLargestValidationBatch) limit = "larger ones are not tried";
  return fmt::format(
      "batch_size max: {} images a batch take {:.0f} MiB of the {:.0f} GiB that a validation may take on rank {}; {}",
      fit.batch, fit.mib, fit.budget_mib / 1024, rank, limit);
}

std::int64_t bytes_on_device(std::span<const BatchPlan> batches) {
  constexpr std::int64_t kChannels = 3;
  std::int64_t bytes = 0;
  for (const BatchPlan& batch : batches)
    bytes += static_cast<std::int64_t>(batch.images.size()) * kChannels * batch.height * batch.width;
  return bytes;
}

}  // namespace valbench
