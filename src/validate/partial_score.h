/// \file
/// What scoring some validation batches yields: mergeable over ranks, small enough to send (8 bytes a detection).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "metrics/detection.h"
#include "metrics/mean_average_precision.h"
#include "record/run_record.h"

namespace valbench {

/// Loss items (box, obj, cls) of one validation batch.
struct BatchLoss {
  std::int64_t batch = 0;  ///< Index in the full batch plan.
  std::array<float, 3> items{};
};

struct PartialScore {
  MatchSet matches;
  std::vector<BatchLoss> losses;
  std::int64_t pixels = 0;                ///< Network-input pixels, padding included.
  std::int64_t candidate_limit_hits = 0;  ///< Images with more NMS candidates than max_candidates.
  std::int64_t detection_limit_hits = 0;  ///< Images cut to max_detections.
};

/// Joins the parts of all ranks in canonical order: images by index, losses by batch. Throws Error if an image was scored twice.
PartialScore merge_scores(std::span<const PartialScore> parts);

/// Plain bytes for Communicator::gather_bytes.
std::vector<std::byte> pack_score(const PartialScore& score);
/// Throws Error when the bytes are not what pack_score wrote.
PartialScore unpack_score(std::span<const std::byte> bytes);

/// P, R, mAP, per class, and the mean loss (items added in batch order, whoever computed them) of a merged score.
/// Epoch, checksum, seconds and batch size are left for the caller.
ValidationRecord summarize_score(const PartialScore& merged, int threads);
/// The same where the score's mean average precision is known already.
ValidationRecord summarize_score(const PartialScore& merged, const MeanAveragePrecision& map);

}  // namespace valbench
