#include "profilers/profiler.h"

#include "profilers/cupti/cupti_profiler.h"

namespace valbench {
namespace {

/// Traces nothing, for a stated reason.
class NoProfiler : public Profiler {
 public:
  void start() noexcept override { begin_ns_ = now_ns(); }
  GpuTrace stop() noexcept override {
    GpuTrace trace;
    trace.reason = "not asked for";
    trace.window = {begin_ns_, now_ns()};
    return trace;
  }

 private:
  std::int64_t begin_ns_ = 0;
};

}  // namespace

std::unique_ptr<Profiler> make_profiler(GpuTracing tracing, const Tracer& tracer) {
  if (tracing == GpuTracing::off) return std::make_unique<NoProfiler>();
  return make_cupti_profiler(tracer);
}

std::string probe_gpu_tracing() { return probe_cupti(); }

}  // namespace valbench
