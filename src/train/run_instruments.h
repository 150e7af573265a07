/// \file
/// What watches a rank while it runs. The job holds this and knows neither profilers nor trace files.
#pragma once
#include "record/gpu_summary.h"
#include "trace/tracer.h"

namespace valbench {

/// The instruments of one rank.
class RunInstruments {
 public:
  virtual ~RunInstruments() = default;
  /// Records the rank's spans; tells the instruments where epochs begin.
  virtual Tracer& tracer() = 0;
  /// Right after the last validation, once: closes the window and writes the trace of a traced run. The window's GPU
  /// trace is empty with a reason where nothing was traced.
  virtual TracedWindow finish() = 0;
};

}  // namespace valbench
