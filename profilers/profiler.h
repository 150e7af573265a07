/// \file
/// The seam behind which GPU tracing happens.
#pragma once
#include <memory>

#include "trace/gpu_trace.h"

namespace valbench {

/// Traces the GPU work of this process in one window. Never aborts and never throws: what goes wrong is said in the trace's
/// reason and health. start() and stop() are called once each, on the rank's main thread.
class Profiler {
 public:
  virtual ~Profiler() = default;
  /// Opens the window. Where tracing is impossible it only remembers why.
  virtual void start() noexcept = 0;
  /// Waits for the GPU, closes the window and hands over what was traced, attributed to the phases of the tracer's spans.
  virtual GpuTrace stop() noexcept = 0;
};

enum class GpuTracing { off, cupti };

/// A profiler of that kind. \param tracer its spans name the phases at stop(), so it must keep them (capacity above 0); it
/// outlives the profiler.
std::unique_ptr<Profiler> make_profiler(GpuTracing tracing, const Tracer& tracer);

/// Why GPU tracing cannot work here; empty when it can. Probes and lets go again, so `doctor` may call it.
std::string probe_gpu_tracing();

}  // namespace valbench
