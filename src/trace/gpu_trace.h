/// \file
/// The GPU activities of one rank in one window, with what was lost, by phase.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trace/activity.h"
#include "trace/interval.h"
#include "trace/tracer.h"

namespace valbench {

/// GPU time that one phase launched: sums of durations, so overlapping streams count twice.
struct PhaseGpuTime {
  double kernel_s = 0, comm_kernel_s = 0, memcpy_s = 0, memset_s = 0;
  std::int64_t kernels = 0, comm_kernels = 0, copies = 0, fills = 0;
  double total_s() const noexcept { return kernel_s + comm_kernel_s + memcpy_s + memset_s; }
};

/// Records that are missing or unusable. A trace explains only when all are 0.
struct TraceLosses {
  std::int64_t dropped = 0;  ///< The profiler had no room for them.
  std::int64_t invalid = 0;  ///< No times, or an end before its begin; left out of the activities.
  std::int64_t orphans = 0;  ///< Activities without the record of their launch.
  std::int64_t missing = 0;  ///< Launches without a kernel record.
  std::int64_t total() const noexcept { return dropped + invalid + orphans + missing; }
};

/// What a Profiler hands over. Without a GPU it is empty, says why, and is no error.
struct GpuTrace {
  bool available = false;
  std::string reason;                ///< Why nothing was traced; empty when available.
  std::vector<std::string> health;   ///< Everything that went wrong on the way, one sentence each.
  Interval window;                   ///< From start() to stop().
  std::vector<std::string> names;    ///< Of kernels, copies and API calls.
  std::vector<Activity> activities;  ///< Ascending by begin.
  std::vector<ApiCall> launches;     ///< The calls that launched them, ascending by begin.
  TraceLosses losses;
  std::array<PhaseGpuTime, kPhaseCount> phases{};  ///< By launching phase.
  PhaseGpuTime unattributed;                       ///< Launched outside of every span.

  const PhaseGpuTime& of(Phase phase) const noexcept { return phases[static_cast<std::size_t>(phase)]; }
  /// Sum over all phases and the unattributed.
  PhaseGpuTime total() const;
  /// Share of the GPU time that no phase launched, in 0..1; 0 without GPU time.
  double unattributed_share() const;
  bool complete() const noexcept { return available && losses.total() == 0; }
};

/// Joins activities with their launches by correlation id, gives each the phase of the innermost span of the main
/// thread at its launch, and fills losses.orphans, losses.missing, the phases' times and trace.launches (calls that
/// launched nothing are left out). Sorts the activities. \param calls all calls recorded, in any order.
/// \param beside what a thread that validates beside the main one launched has that thread's spans; null = there is none.
void attribute_phases(GpuTrace& trace, std::vector<ApiCall> calls, const std::vector<Span>& spans, const Tracer* beside = nullptr);

/// The communication kernels in the order they began: the input of collective_times().
std::vector<Interval> collectives_of(const GpuTrace& trace);

}  // namespace valbench
