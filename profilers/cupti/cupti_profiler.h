/// \file
/// GPU activities through CUPTI. The build takes cupti_absent.cpp instead where CUPTI's headers are missing.
#pragma once
#include <memory>
#include <string>

#include "profilers/profiler.h"

namespace valbench {

class CuptiApi;

/// A profiler on this process's CUPTI, which is loaded when start() is called.
std::unique_ptr<Profiler> make_cupti_profiler(const Tracer& tracer);

/// The same on an API of one's own: tests hand in a fake.
std::unique_ptr<Profiler> make_cupti_profiler(const Tracer& tracer, std::unique_ptr<CuptiApi> api);

/// Subscribes and lets go again; the reason why CUPTI cannot be used, or an empty string.
std::string probe_cupti();

}  // namespace valbench
