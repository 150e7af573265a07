/// \file
/// Sets of intervals on the time axis of now_ns().
#pragma once
#include <cstdint>
#include <vector>

namespace valbench {

/// Half open: [begin_ns, end_ns). Empty when the end is not after the begin.
struct Interval {
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int64_t length_ns() const noexcept { return end_ns > begin_ns ? end_ns - begin_ns : 0; }
};

/// The union: ascending, disjoint, not touching, without empty ones.
std::vector<Interval> interval_union(std::vector<Interval> intervals);

/// Nanoseconds of `window` that a union covers. \param merged what interval_union() returned.
std::int64_t covered_ns(const std::vector<Interval>& merged, Interval window);

}  // namespace valbench
