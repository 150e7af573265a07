#include "trace/interval.h"

#include <algorithm>

namespace valbench {

std::vector<Interval> interval_union(std::vector<Interval> intervals) {
  std::erase_if(intervals, [](const Interval& interval) { return interval.length_ns() == 0; });
  std::sort(intervals.begin(), intervals.end(), [](const auto& a, const auto& b) { return a.begin_ns < b.begin_ns; });
  std::vector<Interval> merged;
  for (const Interval& interval : intervals) {
    if (!merged.empty() && interval.begin_ns <= merged.back().end_ns) {
      merged.back().end_ns = std::max(merged.back().end_ns, interval.end_ns);
    } else {
      merged.push_back(interval);
    }
  }
  return merged;
}

std::int64_t covered_ns(const std::vector<Interval>& merged, Interval window) {
  std::int64_t covered = 0;
  for (const Interval& interval : merged) {
    const Interval part{std::max(interval.begin_ns, window.begin_ns), std::min(interval.end_ns, window.end_ns)};
    covered += part.length_ns();
  }
  return covered;
}

}  // namespace valbench
