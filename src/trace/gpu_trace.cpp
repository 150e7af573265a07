#include "trace/gpu_trace.h"

#include <algorithm>
#include <unordered_map>

#include "trace/phase_timeline.h"

namespace valbench {
namespace {

void add(PhaseGpuTime& sum, const Activity& activity) {
  const double seconds = seconds_between(activity.begin_ns, activity.end_ns);
  switch (activity.kind) {
    case ActivityKind::kernel:
      sum.kernel_s += seconds, ++sum.kernels;
      break;
    case ActivityKind::comm_kernel:
      sum.comm_kernel_s += seconds, ++sum.comm_kernels;
      break;
    case ActivityKind::memcpy:
      sum.memcpy_s += seconds, ++sum.copies;
      break;
    case ActivityKind::memset:
      sum.memset_s += seconds, ++sum.fills;
      break;
  }
}

void add(PhaseGpuTime& sum, const PhaseGpuTime& other) {
  sum.kernel_s += other.kernel_s, sum.kernels += other.kernels;
  sum.comm_kernel_s += other.comm_kernel_s, sum.comm_kernels += other.comm_kernels;
  sum.memcpy_s += other.memcpy_s, sum.copies += other.copies;
  sum.memset_s += other.memset_s, sum.fills += other.fills;
}

struct Launch {
  ApiCall call;
  bool has_activity = false, has_kernel = false, must_have_kernel = false;
};

// A runtime call can show up a second time as the driver call inside it, under one correlation id: the outer one is
// kept.
std::unordered_map<std::uint32_t, Launch> by_correlation(const std::vector<ApiCall>& calls) {
  std::unordered_map<std::uint32_t, Launch> launches;
  launches.reserve(calls.size());
  for (const ApiCall& call : calls) {
    const auto [found, added] = launches.try_emplace(call.correlation, Launch{call});
    if (!added && call.begin_ns < found->second.call.begin_ns) found->second.call = call;
    found->second.must_have_kernel |= call.launches_kernel;
  }
  return launches;
}

template <typename T>
void sort_by_begin(std::vector<T>& items) {
  std::stable_sort(items.begin(), items.end(), [](const T& a, const T& b) { return a.begin_ns < b.begin_ns; });
}

}  // namespace

PhaseGpuTime GpuTrace::total() const {
  PhaseGpuTime sum = unattributed;
  for (const PhaseGpuTime& phase : phases) add(sum, phase);
  return sum;
}

double GpuTrace::unattributed_share() const {
  const double all = total().total_s();
  return all > 0 ? unattributed.total_s() / all : 0;
}

void attribute_phases(GpuTrace& trace, std::vector<ApiCall> calls, const std::vector<Span>& spans, const Tracer* beside) {
  const PhaseTimeline timeline(spans), timeline_beside(beside != nullptr ? beside->spans() : std::vector<Span>());
  std::unordered_map<std::uint32_t, Launch> launches = by_correlation(calls);
  sort_by_begin(trace.activities);
  for (Activity& activity : trace.activities) {
    const auto launch = launches.find(activity.correlation);
    if (launch == launches.end()) {
      ++trace.losses.orphans;
    } else {
      activity.launch_ns = launch->second.call.begin_ns;
      const bool from_beside = beside != nullptr && launch->second.call.thread == beside->thread();
      activity.phase = (from_beside ? timeline_beside : timeline).at(activity.launch_ns);
      launch->second.has_activity = true;
      launch->second.has_kernel |= activity.kind == ActivityKind::kernel || activity.kind == ActivityKind::comm_kernel;
    }
    add(activity.phase ? trace.phases[static_cast<std::size_t>(*activity.phase)] : trace.unattributed, activity);
  }
  for (const auto& [correlation, launch] : launches) {
    if (launch.has_activity) trace.launches.push_back(launch.call);
    if (launch.must_have_kernel && !launch.has_kernel) ++trace.losses.missing;
  }
  // The map has no order of its own: equal begins must not depend on it.
  std::sort(trace.launches.begin(), trace.launches.end(), [](const ApiCall& a, const ApiCall& b) {
    return a.begin_ns != b.begin_ns ? a.begin_ns < b.begin_ns : a.correlation < b.correlation;
  });
}

std::vector<Interval> collectives_of(const GpuTrace& trace) {
  std::vector<Interval> collectives;
  for (const Activity& activity : trace.activities) {
    if (activity.kind == ActivityKind::comm_kernel) collectives.push_back({activity.begin_ns, activity.end_ns});
  }
  return collectives;
}

}  // namespace valbench
