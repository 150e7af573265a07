// Stands in for the files of this folder in a build without CUPTI's headers.
#include "profilers/cupti/cupti_profiler.h"

namespace valbench {
namespace {

constexpr const char* kReason = "this program was built without CUPTI's headers";

class AbsentProfiler : public Profiler {
 public:
  void start() noexcept override { begin_ns_ = now_ns(); }
  GpuTrace stop() noexcept override {
    GpuTrace trace;
    trace.reason = kReason;
    trace.window = {begin_ns_, now_ns()};
    return trace;
  }

 private:
  std::int64_t begin_ns_ = 0;
};

}  // namespace

std::unique_ptr<Profiler> make_cupti_profiler(const Tracer&) { return std::make_unique<AbsentProfiler>(); }

std::string probe_cupti() { return kReason; }

}  // namespace valbench
