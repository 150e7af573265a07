#include "record/gpu_summary.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "trace/time_breakdown.h"

namespace valbench {
namespace {

constexpr int kNoPhase = kPhaseCount;  // sorts behind all phases

Measured seconds(std::int64_t ns) { return Measured::of(static_cast<double>(ns) * 1e-9); }

void leave_empty(GpuTraceRecord& record) {
  record.wall_s = record.compute_s = record.comm_transfer_s = record.comm_wait_s = record.memcpy_s = record.idle_s =
      record.none_share = Measured::not_measured(record.reason);
}

bool equally_long(std::span<const std::vector<Interval>> ranks) {
  return std::all_of(ranks.begin(), ranks.end(), [&](const auto& rank) { return rank.size() == ranks[0].size(); });
}

void fill_breakdown(const GpuTrace& gpu, std::span<const std::vector<Interval>> collectives, GpuTraceRecord& record) {
  const auto rank = static_cast<std::size_t>(record.rank);
  const bool matched = rank < collectives.size() && equally_long(collectives);
  const std::vector<CollectiveTimes> times = matched ? collective_times(collectives) : std::vector<CollectiveTimes>();
  const TimeBreakdown breakdown =
      time_breakdown(gpu.window, busy_intervals(gpu.activities, matched ? &times[rank] : nullptr));
  record.wall_s = seconds(breakdown.wall_ns());
  record.compute_s = seconds(breakdown.compute_ns);
  record.comm_transfer_s = seconds(breakdown.comm_transfer_ns);
  record.comm_wait_s = matched ? seconds(breakdown.comm_wait_ns)
                               : Measured::not_measured("not measured (ranks recorded different collectives)");
  record.memcpy_s = seconds(breakdown.memcpy_ns);
  record.idle_s = seconds(breakdown.idle_ns);
}

}  // namespace

GpuTraceRecord summarize_gpu_trace(const TracedWindow& window, int rank,
                                   std::span<const std::vector<Interval>> collectives) {
  const GpuTrace& gpu = window.gpu;
  GpuTraceRecord record{.rank = rank, .available = gpu.available, .reason = gpu.reason, .health = gpu.health};
  record.first_epoch = window.first_epoch;
  if (!gpu.available) {
    leave_empty(record);
    return record;
  }
  fill_breakdown(gpu, collectives, record);
  const PhaseGpuTime total = gpu.total();
  record.none_share = Measured::of(gpu.unattributed_share());
  record.kernels = total.kernels, record.comm_kernels = total.comm_kernels;
  record.copies = total.copies + total.fills;
  record.dropped = gpu.losses.dropped, record.invalid = gpu.losses.invalid;
  record.orphans = gpu.losses.orphans, record.missing = gpu.losses.missing;
  return record;
}

namespace {

/// The epoch that had begun last; what lies before the first belongs to it.
int epoch_at(const TracedWindow& window, std::int64_t at_ns) {
  const auto& epochs = window.epochs;
  if (epochs.empty()) return window.first_epoch;
  const auto after = std::ranges::upper_bound(epochs, at_ns, {}, &TracedWindow::EpochBegin::at_ns);
  return after == epochs.begin() ? after->epoch : std::prev(after)->epoch;
}

}  // namespace

std::vector<GpuPhaseRecord> gpu_phases_of(const TracedWindow& window, int rank) {
  std::map<std::pair<int, int>, GpuPhaseRecord> sums;  // by epoch and phase
  for (const Activity& activity : window.gpu.activities) {
    const std::int64_t at = activity.launch_ns != 0 ? activity.launch_ns : activity.begin_ns;
    const int epoch = epoch_at(window, at);
    const int phase = activity.phase ? static_cast<int>(*activity.phase) : kNoPhase;
    GpuPhaseRecord& sum = sums[{epoch, phase}];
    sum.rank = rank, sum.epoch = epoch;
    sum.phase = activity.phase ? std::string(phase_name(*activity.phase)) : "none";
    const double duration_s = static_cast<double>(activity.end_ns - activity.begin_ns) * 1e-9;
    switch (activity.kind) {
      case ActivityKind::kernel:
        sum.kernel_s += duration_s, ++sum.kernels;
        break;
      case ActivityKind::comm_kernel:
        sum.comm_s += duration_s, ++sum.comm_kernels;
        break;
      case ActivityKind::memcpy:
      case ActivityKind::memset:
        sum.memcpy_s += duration_s, ++sum.copies;
        break;
    }
  }
  std::vector<GpuPhaseRecord> records;
  for (auto& [key, sum] : sums) records.push_back(std::move(sum));
  return records;
}

}  // namespace valbench
