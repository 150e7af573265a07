#include "trace/time_breakdown.h"

#include <algorithm>
#include <limits>

namespace valbench {

TimeBreakdown time_breakdown(Interval window, const BusyIntervals& busy) {
  TimeBreakdown result;
  std::vector<Interval> covered;  // by the classes so far
  std::int64_t before = 0;
  const auto share_of = [&](const std::vector<Interval>& next) {
    covered.insert(covered.end(), next.begin(), next.end());
    covered = interval_union(std::move(covered));
    const std::int64_t now = covered_ns(covered, window);
    const std::int64_t share = now - before;
    before = now;
    return share;
  };
  result.compute_ns = share_of(busy.compute);
  result.comm_transfer_ns = share_of(busy.comm_transfer);
  result.comm_wait_ns = share_of(busy.comm_wait);
  result.memcpy_ns = share_of(busy.memcpy);
  result.idle_ns = window.length_ns() - before;
  return result;
}

std::vector<CollectiveTimes> collective_times(std::span<const std::vector<Interval>> ranks) {
  std::vector<CollectiveTimes> result(ranks.size());
  if (ranks.empty()) return result;
  std::size_t matched = std::numeric_limits<std::size_t>::max();
  for (const auto& rank : ranks) matched = std::min(matched, rank.size());
  for (std::size_t k = 0; k < matched; ++k) {
    std::int64_t last_begin = ranks[0][k].begin_ns;
    for (const auto& rank : ranks) last_begin = std::max(last_begin, rank[k].begin_ns);
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      const Interval own = ranks[r][k];
      // A rank that only sends can be done before the last one arrives.
      const std::int64_t split = std::clamp(last_begin, own.begin_ns, std::max(own.begin_ns, own.end_ns));
      const Interval wait{own.begin_ns, split}, transfer{split, own.end_ns};
      if (wait.length_ns() > 0) result[r].wait.push_back(wait);
      if (transfer.length_ns() > 0) result[r].transfer.push_back(transfer);
      result[r].wait_ns += wait.length_ns();
      result[r].transfer_ns += transfer.length_ns();
    }
  }
  for (std::size_t r = 0; r < ranks.size(); ++r) result[r].unmatched = static_cast<std::int64_t>(ranks[r].size() - matched);
  return result;
}

BusyIntervals busy_intervals(std::span<const Activity> activities, const CollectiveTimes* collectives) {
  BusyIntervals busy;
  for (const Activity& activity : activities) {
    const Interval interval{activity.begin_ns, activity.end_ns};
    switch (activity.kind) {
      case ActivityKind::kernel: busy.compute.push_back(interval); break;
      case ActivityKind::comm_kernel:
        if (collectives == nullptr) busy.comm_transfer.push_back(interval);
        break;
      case ActivityKind::memcpy:
      case ActivityKind::memset: busy.memcpy.push_back(interval); break;
    }
  }
  if (collectives != nullptr) {
    busy.comm_transfer = collectives->transfer;
    busy.comm_wait = collectives->wait;
  }
  return busy;
}

}  // namespace valbench
