/// \file
/// A Chrome trace in Kineto's shape: Perfetto, chrome://tracing and Holistic Trace Analysis open it (reference
/// profiling.md §5.1).
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "trace/gpu_trace.h"
#include "trace/tracer.h"

namespace valbench {

/// What one rank's trace holds.
struct ChromeTrace {
  int rank = 0, world_size = 1;
  std::string backend = "gloo";
  std::string device_name;   ///< Of the GPU; empty without one.
  std::int64_t process = 0;  ///< getpid of the rank.
  std::int64_t thread = 0;   ///< gettid of the thread that recorded the spans.
  const std::vector<Span>* spans = nullptr;
  const Tracer* beside = nullptr;  ///< Of a thread that validated beside that one; null or without spans: there was none.
  const GpuTrace* gpu = nullptr;  ///< Null or unavailable: host spans only.
  /// Writes a `ProfilerStep#N` beside every training step, and one more behind the last, which HTA drops.
  bool profiler_steps = false;
};

/// Writes the trace by rename; `file` must end in .json. Times are microseconds after `baseTimeNanoseconds`, which is
/// the moment of now_ns() = 0 in the epoch's nanoseconds, so that ranks of one host lie on one axis. Returns the number
/// of slices that were shortened because they overlapped the next one of their stream. Throws RecordError when the file
/// cannot be written.
std::int64_t write_chrome_trace(const std::filesystem::path& file, const ChromeTrace& trace);

}  // namespace valbench
