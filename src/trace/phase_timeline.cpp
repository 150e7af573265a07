#include "trace/phase_timeline.h"

#include <algorithm>

namespace valbench {

PhaseTimeline::PhaseTimeline(std::vector<Span> spans) {
  std::erase_if(spans, [](const Span& span) { return span.end_ns <= span.begin_ns; });
  // Outer spans before inner ones that begin at the same moment.
  std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return a.begin_ns != b.begin_ns ? a.begin_ns < b.begin_ns : a.end_ns > b.end_ns;
  });
  std::vector<Span> open;
  const auto close_until = [&](std::int64_t time_ns) {
    while (!open.empty() && open.back().end_ns <= time_ns) {
      const std::int64_t end_ns = open.back().end_ns;
      open.pop_back();
      change(end_ns, open.empty() ? std::nullopt : std::optional(open.back().phase));
    }
  };
  for (const Span& span : spans) {
    close_until(span.begin_ns);
    open.push_back(span);
    change(span.begin_ns, span.phase);
  }
  if (!spans.empty()) close_until(INT64_MAX);
}

void PhaseTimeline::change(std::int64_t time_ns, std::optional<Phase> phase) {
  if (!changes_.empty() && changes_.back().time_ns == time_ns) {
    changes_.back().phase = phase;
  } else {
    changes_.push_back({time_ns, phase});
  }
}

std::optional<Phase> PhaseTimeline::at(std::int64_t time_ns) const {
  const auto after = std::upper_bound(changes_.begin(), changes_.end(), time_ns,
                                      [](std::int64_t time, const Change& change) { return time < change.time_ns; });
  return after == changes_.begin() ? std::nullopt : std::prev(after)->phase;
}

}  // namespace valbench
