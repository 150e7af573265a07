/// \file
/// How much of its GPU's memory a validation takes: the largest batch that fits, and batches that stay on the device.
/// No GPU is named here.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/batch_plan.h"

namespace valbench {

/// What was settled for a rank before training (train/settle_memory.h).
struct ValidationMemory {
  int largest_batch = 0;  ///< batch_size: max: images per batch, the same on every rank.
  /// cache: gpu: as much may the batches of a rank take. Nothing: none are kept.
  std::optional<std::int64_t> cache_bytes;
  /// Sentences for the record; whoever scores adds to them.
  std::shared_ptr<std::vector<std::string>> warnings = std::make_shared<std::vector<std::string>>();
};

/// Candidates of the NMS, whose number depends on the weights, take of the rest.
inline constexpr double kScoringMemoryShare = 0.8;
inline constexpr double kCacheMemoryShare = 0.5;  ///< At least half is left for training.
inline constexpr int kLargestValidationBatch = 1024;

/// What batches may take of the memory that is free before training, MiB.
struct MemoryShares {
  double cache_mib = 0, scoring_mib = 0;
};
/// \param ranks that share the GPU. \param caches its batches stay there, too. \param training_mib of the steps that
/// run beside the scoring.
MemoryShares share_memory(double free_mib, int ranks, bool caches, double training_mib);

/// The batch that fits a rank, and what scoring it takes of what it may take. batch 0: not even one image fits.
struct BatchFit {
  int batch = 0;
  double mib = 0, budget_mib = 0;
};
/// The largest power of two, up to the number of images and to kLargestValidationBatch, whose scoring stays within the
/// budget. \param measure MiB that scoring a batch takes at most; nothing: it did not fit. Asked for 1, 2, 4, ... up to
/// the first that is too large.
BatchFit largest_batch(std::int64_t images, double budget_mib,
                       const std::function<std::optional<double>(int batch)>& measure);

/// The smallest batch over the ranks, on every rank. A collective. \param mine of this rank; nothing where it scores no
/// batch.
struct SmallestFit {
  int rank = 0;
  BatchFit fit;
};
SmallestFit smallest_fit(Communicator& communicator, const std::optional<BatchFit>& mine);
/// What the record says of it. Throws InputError where not even one image fits.
std::string describe_fit(const SmallestFit& smallest, std::int64_t images);

/// Bytes that these batches take as images on the device.
std::int64_t bytes_on_device(std::span<const BatchPlan> batches);

}  // namespace valbench
