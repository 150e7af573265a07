/// \file
/// From one rank's GPU trace to what its run record keeps.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "record/run_record.h"
#include "trace/gpu_trace.h"

namespace valbench {

/// What one rank traced, and on which epochs.
struct TracedWindow {
  GpuTrace gpu;
  int first_epoch = 0;                        ///< The window begins with this epoch.
  struct EpochBegin {
    std::int64_t at_ns;
    int epoch;
  };
  std::vector<EpochBegin> epochs;  ///< Of the window, ascending; a rank that only validates has none for epochs that it does not score.
};

/// Losses, and where the window's time went. \param collectives per rank the communication kernels of its window in
/// order: they tell waiting from moving data. Where the ranks recorded different numbers of them the two cannot be told
/// apart: then comm_wait_s is not measured and comm_transfer_s holds both.
GpuTraceRecord summarize_gpu_trace(const TracedWindow& window, int rank,
                                   std::span<const std::vector<Interval>> collectives);

/// GPU time by epoch and launching phase, ascending. An activity belongs to the epoch in which it was launched; one
/// without a launch record to the epoch in which it began.
std::vector<GpuPhaseRecord> gpu_phases_of(const TracedWindow& window, int rank);

}  // namespace valbench
