/// \file
/// The phases of one validation, for its record.
#pragma once
#include <map>
#include <string>

#include "trace/tracer.h"

namespace valbench {

/// Seconds by dotted phase name since this was made.
class PhaseSeconds {
 public:
  explicit PhaseSeconds(const Tracer& tracer) : tracer_(tracer) {
    for (int p = 0; p < kPhaseCount; ++p) before_ns_[static_cast<std::size_t>(p)] = tracer.sum(static_cast<Phase>(p)).total_ns;
  }
  std::map<std::string, double> since() const {
    std::map<std::string, double> seconds;
    for (int p = 0; p < kPhaseCount; ++p) {
      const auto phase = static_cast<Phase>(p);
      const std::int64_t ns = tracer_.sum(phase).total_ns - before_ns_[static_cast<std::size_t>(p)];
      if (ns > 0) seconds[std::string(phase_name(phase))] = seconds_between(0, ns);
    }
    return seconds;
  }

 private:
  const Tracer& tracer_;
  std::array<std::int64_t, kPhaseCount> before_ns_{};
};

}  // namespace valbench
