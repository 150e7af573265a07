#include "train/batch_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace valbench {
namespace {

constexpr std::array kMeasuredBatches = {1, 2, 4, 8, 16};
constexpr int kLargestBatch = 1024;

struct Line {
  double at_zero = 0, per_image = 0;
};

/// Least squares.
Line line_through(std::span<const BatchMemory> points) {
  const auto count = static_cast<double>(points.size());
  double x = 0, y = 0, xx = 0, xy = 0;
  for (const BatchMemory& point : points) {
    x += point.batch, y += point.mib;
    xx += static_cast<double>(point.batch) * point.batch, xy += point.batch * point.mib;
  }
  const double per_image = (count * xy - x * y) / (count * xx - x * x);
  return {(y - per_image * x) / count, per_image};
}

}  // namespace

std::vector<BatchMemory> measure_batches(const std::function<std::optional<double>(int batch)>& measure) {
  std::vector<BatchMemory> measured;
  for (const int batch : kMeasuredBatches) {
    const std::optional<double> mib = measure(batch);
    if (!mib) break;
    measured.push_back({batch, *mib});
  }
  return measured;
}

BatchChoice choose_batch(std::span<const BatchMemory> measured, double free_mib) {
  const std::string option = "--batch-size -1: batch ";
  if (measured.empty()) return {1, option + "1: not even one image fits into the GPU's memory, so the training will hardly run"};
  if (measured.size() == 1) return {1, option + "1: two images do not fit into the GPU's memory"};
  const Line line = line_through(measured);
  // A larger batch than the last one measured did not fit, whatever the line says.
  const int largest = measured.size() == kMeasuredBatches.size() ? kLargestBatch : measured.back().batch;
  const double wanted = line.per_image > 0 ? (kBatchMemoryShare * free_mib - line.at_zero) / line.per_image : 0;
  const std::string found = fmt::format("{:.0f} MiB + {:.1f} MiB an image", line.at_zero, line.per_image);
  if (wanted < 1 || wanted > kLargestBatch) {
    const int fallback = std::min(kFallbackBatch, largest);
    return {fallback, fmt::format("{}{}: {} were measured, and {:.0f} MiB free ask for {:.0f}, which is outside 1 to {}", option, fallback, found,
                                  free_mib, wanted, kLargestBatch)};
  }
  const int batch = std::min(static_cast<int>(wanted), largest);
  return {batch, fmt::format("{}{}: {} take {:.0f} % of the {:.0f} MiB that are free on the GPU", option, batch, found,
                             100 * (line.at_zero + batch * line.per_image) / free_mib, free_mib)};
}

}  // namespace valbench
