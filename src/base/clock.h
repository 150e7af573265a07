/// \file
/// The one clock of spans, NVTX ranges and CUPTI records.
#pragma once
#include <time.h>

#include <cstdint>

namespace valbench {

/// Nanoseconds of CLOCK_MONOTONIC: never stepped, and the same for all processes of a host, so that the spans of several
/// ranks lie on one axis.
inline std::int64_t now_ns() noexcept {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

/// Seconds between two now_ns() readings.
inline double seconds_between(std::int64_t begin_ns, std::int64_t end_ns) noexcept {
  return static_cast<double>(end_ns - begin_ns) * 1e-9;
}

}  // namespace valbench
