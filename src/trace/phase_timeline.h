/// \file
/// Which phase a rank's main thread was in at a moment.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "trace/tracer.h"

namespace valbench {

/// The innermost spans of one thread as a step function of time. Phases are serial on a rank, so it also tells the phase of
/// work that other threads (autograd's) launch.
class PhaseTimeline {
 public:
  explicit PhaseTimeline(std::vector<Span> spans);
  /// The innermost span that holds the moment; none between spans.
  std::optional<Phase> at(std::int64_t time_ns) const;

 private:
  struct Change {
    std::int64_t time_ns;
    std::optional<Phase> phase;
  };
  void change(std::int64_t time_ns, std::optional<Phase> phase);
  std::vector<Change> changes_;  // ascending
};

}  // namespace valbench
