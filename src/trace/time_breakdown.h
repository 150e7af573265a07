/// \file
/// Where the wall time of one rank's GPU went (reference profiling.md §1.4).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "trace/activity.h"
#include "trace/interval.h"

namespace valbench {

/// The classes add up to the wall time of the window exactly: every instant belongs to the first class that applies, in the
/// order of the members.
struct TimeBreakdown {
  std::int64_t compute_ns = 0, comm_transfer_ns = 0, comm_wait_ns = 0, memcpy_ns = 0, idle_ns = 0;
  std::int64_t wall_ns() const noexcept { return compute_ns + comm_transfer_ns + comm_wait_ns + memcpy_ns + idle_ns; }
};

/// Busy intervals by class; within and between classes they may overlap and come in any order.
struct BusyIntervals {
  std::vector<Interval> compute, comm_transfer, comm_wait, memcpy;
};

/// Breaks the window down. Wait and transfer that compute covers are hidden and cost nothing: only the exposed part counts.
TimeBreakdown time_breakdown(Interval window, const BusyIntervals& busy);

/// The collectives of one rank, split at the moment when the last rank arrived.
struct CollectiveTimes {
  std::vector<Interval> wait;      ///< From this rank's begin until the last rank began (or until this rank's end, if earlier).
  std::vector<Interval> transfer;  ///< The rest.
  std::int64_t wait_ns = 0, transfer_ns = 0;  ///< Sums over the collectives.
  std::int64_t unmatched = 0;      ///< Collectives that not every rank has recorded; left out of all else.
};

/// Splits the collectives of all ranks. \param ranks per rank its collectives in the order of their sequence numbers, on one
/// time axis. The k-th of every rank is the same collective.
std::vector<CollectiveTimes> collective_times(std::span<const std::vector<Interval>> ranks);

/// The busy intervals of one rank's GPU activities. Memory fills count as copies; `collectives` replaces the communication
/// kernels, which cannot tell by themselves whether they wait or move data: without it (null) they count as transfer.
BusyIntervals busy_intervals(std::span<const Activity> activities, const CollectiveTimes* collectives = nullptr);

}  // namespace valbench
