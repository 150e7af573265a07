#include "profilers/chrome_trace.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/clock.h"
#include "base/file.h"

namespace valbench {
namespace {

std::string json_text(std::string_view text) {
  // Kernel names are not ours: control characters go, broken UTF-8 is replaced.
  std::string clean;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20) clean += c;
  }
  return nlohmann::json(clean).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::int64_t epoch_offset_ns() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec - now_ns();
}

/// Appends events to the text of `traceEvents`.
class EventWriter {
 public:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (!first_) text_ += ",\n";
    first_ = false;
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

  /// An `X` event. \param args the members of its `args`, or nothing.
  void slice(std::string_view category, std::string_view name_text, std::int64_t process, std::int64_t track,
             Interval time, std::string_view args) {
    add(R"({{"ph": "X", "cat": "{}", "name": {}, "pid": {}, "tid": {}, "ts": {}, "dur": {}, "args": {{{}}}}})",
        category, name_text, process, track, microseconds(time.begin_ns), microseconds(time.length_ns()), args);
  }

  /// A metadata event about a process or one of its tracks.
  void name(std::string_view what, std::int64_t process, std::int64_t track, std::string_view text) {
    add(R"({{"ph": "M", "name": "{}", "pid": {}, "tid": {}, "ts": 0, "args": {{"name": {}}}}})", what, process, track,
        json_text(text));
  }

  static std::string microseconds(std::int64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
  bool first_ = true;
};

/// On a track of its own, where its CUDA calls lie as well: slices of one track must not overlap.
void write_spans_beside(EventWriter& out, const ChromeTrace& trace) {
  if (trace.beside == nullptr || trace.beside->spans().empty()) return;
  out.name("thread_name", trace.process, trace.beside->thread(), "validation beside training");
  for (const Span& span : trace.beside->spans()) {
    out.slice("user_annotation", json_text(phase_name(span.phase)), trace.process, trace.beside->thread(), {span.begin_ns, span.end_ns},
              fmt::format(R"("epoch": {}, "number": {})", span.epoch, span.number));
  }
}

void write_spans(EventWriter& out, const ChromeTrace& trace) {
  write_spans_beside(out, trace);
  out.name("process_name", trace.process, 0, fmt::format("valbench rank {}", trace.rank));
  out.name("thread_name", trace.process, trace.thread, "phases");
  if (trace.spans == nullptr) return;
  const Span* last_step = nullptr;
  for (const Span& span : *trace.spans) {
    const Interval time{span.begin_ns, span.end_ns};
    const std::string args = fmt::format(R"("epoch": {}, "number": {})", span.epoch, span.number);
    out.slice("user_annotation", json_text(phase_name(span.phase)), trace.process, trace.thread, time, args);
    if (!trace.profiler_steps || span.phase != Phase::train_step) continue;
    out.slice("user_annotation", fmt::format("\"ProfilerStep#{}\"", span.number), trace.process, trace.thread, time,
              args);
    if (last_step == nullptr || span.end_ns > last_step->end_ns) last_step = &span;
  }
  if (last_step == nullptr) return;
  const Interval sentinel{last_step->end_ns, last_step->end_ns + 1000};
  out.slice("user_annotation", fmt::format("\"ProfilerStep#{}\"", last_step->number + 1), trace.process, trace.thread,
            sentinel, "");
}

std::string_view category_of(ActivityKind kind) {
  switch (kind) {
    case ActivityKind::kernel:
    case ActivityKind::comm_kernel:
      return "kernel";
    case ActivityKind::memcpy:
      return "gpu_memcpy";
    case ActivityKind::memset:
      return "gpu_memset";
  }
  return "kernel";
}

std::string args_of(const Activity& activity) {
  std::string args = fmt::format(R"("device": {}, "context": {}, "stream": {}, "correlation": {})", activity.device,
                                 activity.context, activity.stream, activity.correlation);
  if (activity.phase) args += fmt::format(R"(, "phase": "{}")", phase_name(*activity.phase));
  if (activity.kind == ActivityKind::memcpy || activity.kind == ActivityKind::memset) {
    const std::int64_t ns = std::max<std::int64_t>(activity.end_ns - activity.begin_ns, 1);
    args += fmt::format(R"x(, "bytes": {}, "memory bandwidth (GB/s)": {:.3f})x", activity.bytes,
                        static_cast<double>(activity.bytes) / static_cast<double>(ns));
  }
  return args;
}

/// The activities in the order of their tracks; on one track a slice may not reach into the next one.
std::vector<Activity> by_track(const GpuTrace& gpu, std::int64_t& clamped) {
  std::vector<Activity> sorted = gpu.activities;
  std::sort(sorted.begin(), sorted.end(), [](const Activity& a, const Activity& b) {
    return std::tie(a.device, a.stream, a.begin_ns, a.correlation) <
           std::tie(b.device, b.stream, b.begin_ns, b.correlation);
  });
  for (std::size_t i = 0; i + 1 < sorted.size(); ++i) {
    const Activity& next = sorted[i + 1];
    if (sorted[i].device != next.device || sorted[i].stream != next.stream || sorted[i].end_ns <= next.begin_ns)
      continue;
    sorted[i].end_ns = next.begin_ns;
    ++clamped;
  }
  return sorted;
}

std::int64_t write_gpu(EventWriter& out, const ChromeTrace& trace) {
  std::int64_t clamped = 0;
  if (trace.gpu == nullptr || !trace.gpu->available) return clamped;
  std::vector<std::string> names;
  for (const std::string& name : trace.gpu->names) names.push_back(json_text(name));
  for (const ApiCall& call : trace.gpu->launches) {
    out.slice(call.driver ? "cuda_driver" : "cuda_runtime", names.at(call.name), trace.process, call.thread,
              {call.begin_ns, call.end_ns}, fmt::format(R"("correlation": {})", call.correlation));
    out.add(R"({{"ph": "s", "cat": "ac2g", "name": "ac2g", "id": {}, "pid": {}, "tid": {}, "ts": {}}})",
            call.correlation, trace.process, call.thread, EventWriter::microseconds(call.begin_ns));
  }
  std::int64_t device = -1, stream = -1;
  for (const Activity& activity : by_track(*trace.gpu, clamped)) {
    if (activity.device != device) {
      out.name("process_name", activity.device, 0, fmt::format("GPU {} {}", activity.device, trace.device_name));
    }
    if (activity.device != device || activity.stream != stream) {
      out.name("thread_name", activity.device, activity.stream, fmt::format("stream {}", activity.stream));
    }
    device = activity.device, stream = activity.stream;
    // Without its launch HTA drops a kernel, and fails when none is left.
    if (activity.launch_ns == 0) continue;
    out.slice(category_of(activity.kind), names.at(activity.name), activity.device, activity.stream,
              {activity.begin_ns, activity.end_ns}, args_of(activity));
    out.add(R"({{"ph": "f", "bp": "e", "cat": "ac2g", "name": "ac2g", "id": {}, "pid": {}, "tid": {}, "ts": {}}})",
            activity.correlation, activity.device, activity.stream, EventWriter::microseconds(activity.begin_ns));
  }
  return clamped;
}

std::string devices_of(const ChromeTrace& trace) {
  if (trace.gpu == nullptr || !trace.gpu->available || trace.gpu->activities.empty()) return "";
  return fmt::format(R"({{"id": {}, "name": {}}})", trace.gpu->activities.front().device, json_text(trace.device_name));
}

}  // namespace

std::int64_t write_chrome_trace(const std::filesystem::path& file, const ChromeTrace& trace) {
  EventWriter events;
  write_spans(events, trace);
  const std::int64_t clamped = write_gpu(events, trace);
  // HTA reads the rank with a pattern that wants the space after the colon.
  write_atomically(file, fmt::format(R"({{"schemaVersion": 1, "deviceProperties": [{}],
"distributedInfo": {{"backend": {}, "rank": {}, "world_size": {}}},
"displayTimeUnit": "ms", "baseTimeNanoseconds": {}, "traceName": {}, "clampedSlices": {},
"traceEvents": [
{}
]}}
)",
                                     devices_of(trace), json_text(trace.backend), trace.rank, trace.world_size,
                                     epoch_offset_ns(), json_text(file.filename().string()), clamped, events.text()));
  return clamped;
}

}  // namespace valbench
