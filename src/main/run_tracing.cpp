#include "main/run_tracing.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <unistd.h>

#include "profilers/chrome_trace.h"

// Of cuda_profiler_api.h, which no wheel brings and only a machine with the CUDA toolkit has; libcudart has both.
extern "C" {
cudaError_t cudaProfilerStart();
cudaError_t cudaProfilerStop();
}

namespace valbench {
namespace {

constexpr std::size_t kTraceCapacity = 1U << 20;

bool on_gpu(const RunSpec& spec) { return spec.device == DeviceKind::cuda; }

std::string current_gpu_name() {
  int device = 0;
  cudaDeviceProp properties{};
  if (cudaGetDevice(&device) != cudaSuccess || cudaGetDeviceProperties(&properties, device) != cudaSuccess) return {};
  return properties.name;
}

}  // namespace

RunTracing::RunTracing(const RunSpec& spec, int rank, const std::vector<SpanListener*>& first, SpanListener& first_beside)
    : spec_(spec), rank_(rank), tracer_(spec.profile ? kTraceCapacity : 0), beside_(spec.profile ? kTraceCapacity : 0) {
  window_.first_epoch = spec.epochs > 1 ? 1 : 0;
  window_.epochs.reserve(static_cast<std::size_t>(spec.epochs));
  if (spec.profile) profiler_ = make_profiler(on_gpu(spec) ? GpuTracing::cupti : GpuTracing::off, tracer_);
  for (SpanListener* listener : first) tracer_.add_listener(*listener);
  tracer_.add_listener(*this);
  tracer_.add_listener(ranges_);
  beside_.add_listener(first_beside);
  beside_.add_listener(ranges_beside_);
  tracer_.set_beside(&beside_);
}

void RunTracing::epoch_begin(int epoch) noexcept {
  if (epoch < window_.first_epoch) return;
  if (!open_) {
    open_ = true;
    if (profiler_) profiler_->start();
    // Without a tool, or without a driver, it does nothing: its code says nothing about the run.
    if (on_gpu(spec_)) static_cast<void>(cudaProfilerStart());
    ranges_.window_begin();
  }
  window_.epochs.push_back({now_ns(), epoch});
}

TracedWindow RunTracing::finish() {
  if (open_) {
    ranges_.window_end();
    if (on_gpu(spec_)) static_cast<void>(cudaProfilerStop());
    open_ = false;
  }
  if (!profiler_) {
    window_.gpu.reason = "not measured (untraced run)";
    return std::move(window_);
  }
  window_.gpu = profiler_->stop();
  if (!on_gpu(spec_)) {
    window_.gpu.reason = "not measured (CPU run)";
  }
  // On GPUs the profiler tells of the tracer's own.
  const std::int64_t lost = beside_.lost() + (on_gpu(spec_) ? 0 : tracer_.lost());
  if (lost > 0) window_.gpu.health.push_back(fmt::format("{} spans were lost", lost));
  write_trace(window_.gpu);
  return std::move(window_);
}

void RunTracing::write_trace(const GpuTrace& gpu) const {
  const bool cuda = on_gpu(spec_);
  write_chrome_trace(spec_.folder / fmt::format("rank-{}.trace.json", rank_),
                     {.rank = rank_,
                      .world_size = spec_.ranks,
                      .backend = cuda ? "nccl" : "gloo",
                      .device_name = cuda ? current_gpu_name() : std::string(),
                      .process = ::getpid(),
                      .thread = ::gettid(),
                      .spans = &tracer_.spans(),
                      .beside = &beside_,
                      .gpu = &gpu,
                      .profiler_steps = true});
}

}  // namespace valbench
