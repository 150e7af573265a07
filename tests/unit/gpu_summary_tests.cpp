#include "record/gpu_summary.h"

#include "tests/support/catch.h"

using namespace valbench;

namespace {

Activity activity(ActivityKind kind, std::int64_t begin_ns, std::int64_t end_ns, std::int64_t launch_ns,
                  std::optional<Phase> phase) {
  Activity a;
  a.kind = kind, a.begin_ns = begin_ns, a.end_ns = end_ns, a.launch_ns = launch_ns, a.phase = phase;
  return a;
}

/// 1000 ns: a kernel, a collective, a copy, and a kernel that no phase launched.
TracedWindow small_window() {
  TracedWindow window;
  window.first_epoch = 1;
  window.epochs = {{0, 1}, {600, 3}};  // Epoch 2 was not scored by this rank.
  GpuTrace& gpu = window.gpu;
  gpu.available = true;
  gpu.window = {0, 1000};
  gpu.activities = {activity(ActivityKind::kernel, 100, 300, 50, Phase::train_forward),
                    activity(ActivityKind::comm_kernel, 300, 500, 250, Phase::train_sync),
                    activity(ActivityKind::memcpy, 650, 700, 590, Phase::val_h2d),
                    activity(ActivityKind::kernel, 700, 800, 0, std::nullopt)};
  gpu.phases[static_cast<std::size_t>(Phase::train_forward)] = {.kernel_s = 200e-9, .kernels = 1};
  gpu.phases[static_cast<std::size_t>(Phase::train_sync)] = {.comm_kernel_s = 200e-9, .comm_kernels = 1};
  gpu.phases[static_cast<std::size_t>(Phase::val_h2d)] = {.memcpy_s = 50e-9, .copies = 1};
  gpu.unattributed = {.kernel_s = 100e-9, .kernels = 1};
  gpu.losses = {.orphans = 1};
  return window;
}

double sum_of(const GpuTraceRecord& r) {
  return *r.compute_s.value + *r.comm_transfer_s.value + r.comm_wait_s.value.value_or(0) + *r.memcpy_s.value +
         *r.idle_s.value;
}

}  // namespace

TEST_CASE("a GPU trace's breakdown adds up to its window, waiting apart from transfer") {
  const std::vector<std::vector<Interval>> ranks = {{{300, 500}}, {{420, 500}}};
  const GpuTraceRecord record = summarize_gpu_trace(small_window(), 0, ranks);
  CHECK(record.available);
  CHECK(record.first_epoch == 1);
  CHECK(*record.comm_wait_s.value == Approx(120e-9));
  CHECK(*record.comm_transfer_s.value == Approx(80e-9));
  CHECK(*record.compute_s.value == Approx(300e-9));
  CHECK(*record.memcpy_s.value == Approx(50e-9));
  CHECK(*record.wall_s.value == Approx(1000e-9));
  CHECK(sum_of(record) == Approx(*record.wall_s.value));
  CHECK(record.kernels == 2);
  CHECK(record.comm_kernels == 1);
  CHECK(record.orphans == 1);
  CHECK(*record.none_share.value == Approx(100.0 / 550));
}

TEST_CASE("where the ranks recorded different collectives, waiting is not measured and the rest still adds up") {
  const std::vector<std::vector<Interval>> ranks = {{{300, 500}}, {}};
  const GpuTraceRecord record = summarize_gpu_trace(small_window(), 0, ranks);
  CHECK_FALSE(record.comm_wait_s.value);
  CHECK(*record.comm_transfer_s.value == Approx(200e-9));
  CHECK(sum_of(record) == Approx(*record.wall_s.value));
}

TEST_CASE("a trace that is not there leaves every number empty with its reason") {
  TracedWindow window;
  window.gpu.reason = "not measured (CPU run)";
  const GpuTraceRecord record = summarize_gpu_trace(window, 1, {});
  CHECK_FALSE(record.available);
  CHECK_FALSE(record.wall_s.value);
  CHECK(record.idle_s.reason == "not measured (CPU run)");
  CHECK(gpu_phases_of(window, 1).empty());
}

TEST_CASE("GPU time belongs to the epoch and phase that launched it") {
  const auto phases = gpu_phases_of(small_window(), 3);
  REQUIRE(phases.size() == 4);
  CHECK(phases[0].phase == "train.forward");
  CHECK(phases[0].epoch == 1);
  CHECK(phases[0].rank == 3);
  CHECK(phases[0].kernel_s == Approx(200e-9));
  CHECK(phases[1].phase == "train.sync");
  CHECK(phases[1].comm_s == Approx(200e-9));
  CHECK(phases[2].phase == "val.h2d");
  CHECK(phases[2].epoch == 1);  // launched before the second epoch, ran in it
  CHECK(phases[3].phase == "none");
  CHECK(phases[3].epoch == 3);  // without a launch record its begin counts
}
