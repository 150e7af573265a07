// CUPTI on a real GPU. A process can trace one window, so there is one case.
#include <ATen/ATen.h>
#include <cuda_runtime_api.h>

#include <sstream>
#include <vector>

#include "profilers/nvtx_ranges.h"
#include "profilers/profiler.h"
#include "record/gpu_summary.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

std::string text_of(const GpuTrace& trace) {
  std::ostringstream out;
  out << "reason: " << trace.reason << "\nlosses: dropped " << trace.losses.dropped << ", invalid "
      << trace.losses.invalid << ", orphans " << trace.losses.orphans << ", missing " << trace.losses.missing << "\n";
  for (const std::string& health : trace.health) out << "health: " << health << "\n";
  for (int p = 0; p < kPhaseCount; ++p) {
    const PhaseGpuTime& time = trace.phases[static_cast<std::size_t>(p)];
    if (time.kernels + time.copies + time.fills == 0) continue;
    out << phase_name(static_cast<Phase>(p)) << ": " << time.kernels << " kernels, " << time.copies << " copies, "
        << time.fills << " fills, " << time.total_s() << " s\n";
  }
  out << "no phase: " << trace.unattributed.kernels << " kernels, " << trace.unattributed.copies << " copies";
  return out.str();
}

}  // namespace

TEST_CASE("a GPU trace holds every kernel and copy that was launched, each in its phase, and loses none") {
  int gpus = 0;
  if (const cudaError_t result = cudaGetDeviceCount(&gpus); result != cudaSuccess || gpus == 0) {
    VB_SKIP(std::string("needs a GPU: ") + (gpus == 0 ? cudaGetErrorString(result) : "none"));
  }
  REQUIRE(probe_gpu_tracing() == "");
  constexpr int kForward = 1000, kValidation = 50, kCopies = 3, kOutside = 7;
  const auto gpu = at::TensorOptions().device(at::kCUDA).dtype(at::kFloat);
  const at::Tensor host = at::ones({1 << 20});
  at::Tensor x = at::ones({1 << 20}, gpu);
  at::Tensor w = at::ones({1 << 20}, gpu).requires_grad_(true);
  (w * x).sum().backward();  // Loads the kernels.
  x.add_(1), x.mul_(1), x.copy_(host);
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);

  Tracer tracer(1000);
  NvtxRanges ranges;
  tracer.add_listener(ranges);
  const auto profiler = make_profiler(GpuTracing::cupti, tracer);
  TracedWindow window;
  window.epochs = {{now_ns(), 0}};
  profiler->start();
  {
    const ScopedSpan span(tracer, Phase::train_forward);
    for (int i = 0; i < kForward; ++i) x.add_(1);
  }
  {
    const ScopedSpan span(tracer, Phase::train_backward);
    (w * x).sum().backward();
  }
  window.epochs.push_back({now_ns(), 1});
  {
    const ScopedSpan outer(tracer, Phase::val_epoch);
    const ScopedSpan span(tracer, Phase::val_forward);
    for (int i = 0; i < kValidation; ++i) x.mul_(1);
  }
  {
    const ScopedSpan span(tracer, Phase::val_h2d);
    for (int i = 0; i < kCopies; ++i) x.copy_(host);
  }
  for (int i = 0; i < kOutside; ++i) x.add_(1);
  window.gpu = profiler->stop();

  const GpuTrace& trace = window.gpu;
  INFO(text_of(trace));
  REQUIRE(trace.available);
  CHECK(trace.complete());
  CHECK(trace.of(Phase::train_forward).kernels == kForward);
  CHECK(trace.of(Phase::train_backward).kernels >= 3);  // Autograd's own thread launches most of them.
  CHECK(trace.of(Phase::val_forward).kernels == kValidation);
  CHECK(trace.of(Phase::val_h2d).copies == kCopies);
  CHECK(trace.unattributed.kernels == kOutside);

  const std::vector<std::vector<Interval>> collectives(1);
  const GpuTraceRecord record = summarize_gpu_trace(window, 0, collectives);
  const double sum = *record.compute_s.value + *record.comm_transfer_s.value + *record.comm_wait_s.value +
                     *record.memcpy_s.value + *record.idle_s.value;
  CHECK(sum == Approx(*record.wall_s.value));
  CHECK(*record.compute_s.value > 0);
  for (const GpuPhaseRecord& phase : gpu_phases_of(window, 0)) {
    if (phase.phase == "train.forward") CHECK((phase.epoch == 0 && phase.kernels == kForward));
    if (phase.phase == "val.forward") CHECK((phase.epoch == 1 && phase.kernels == kValidation));
  }
}
