/// \file
/// From memory measured at a few batch sizes to the batch that fills a GPU (reference yolov5.md §4.6). No tensors.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace valbench {

inline constexpr int kFallbackBatch = 16;       ///< YOLOv5's, where a measurement says nothing sensible.
inline constexpr double kBatchMemoryShare = 0.8;  ///< Of the memory that was free before anything was measured.

/// Memory of training steps at one batch size.
struct BatchMemory {
  int batch = 0;
  double mib = 0;
};

/// Measures batches of 1, 2, 4, 8 and 16 until one does not fit (nothing).
std::vector<BatchMemory> measure_batches(const std::function<std::optional<double>(int batch)>& measure);

/// What was chosen, and a sentence that says why.
struct BatchChoice {
  int batch = kFallbackBatch;
  std::string sentence;
};

/// The largest batch that a line through the measurements keeps below kBatchMemoryShare of `free_mib`. Outside 1 … 1024,
/// kFallbackBatch; never one larger than what was measured not to fit.
BatchChoice choose_batch(std::span<const BatchMemory> measured, double free_mib);

}  // namespace valbench
