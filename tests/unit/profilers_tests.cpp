#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/error.h"
#include "base/file.h"
#include "profilers/chrome_trace.h"
#include "profilers/nvtx_ranges.h"
#include "profilers/profiler.h"
#include "tests/support/catch.h"

using namespace valbench;
using nlohmann::json;

namespace {

GpuTrace small_trace() {
  GpuTrace trace;
  trace.available = true;
  trace.names = {"void k<\"x\">(\\)\n", "Memcpy HtoD (Pinned -> Device)", "cudaLaunchKernel"};
  Activity kernel;
  kernel.begin_ns = 2'000'000, kernel.end_ns = 2'500'000, kernel.launch_ns = 1'500'000, kernel.correlation = 4;
  kernel.stream = 7, kernel.phase = Phase::train_forward;
  Activity overlapping = kernel;
  overlapping.begin_ns = 2'400'000, overlapping.end_ns = 2'600'000, overlapping.correlation = 5;
  Activity copy = kernel;
  copy.kind = ActivityKind::memcpy, copy.name = 1, copy.stream = 8, copy.bytes = 1000;
  Activity orphan = kernel;
  orphan.launch_ns = 0, orphan.stream = 9;
  trace.activities = {kernel, copy, orphan, overlapping};
  trace.launches = {{.begin_ns = 1'500'000, .end_ns = 1'600'000, .name = 2, .correlation = 4, .thread = 11}};
  return trace;
}

struct TemporaryFile {
  std::filesystem::path path;
  explicit TemporaryFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() / (std::to_string(getpid()) + name)) {}
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("a Chrome trace is valid JSON, names its rank as analysers read it, and holds spans, launches and activities") {
  const TemporaryFile file("_trace.json");
  const GpuTrace gpu = small_trace();
  const std::vector<Span> spans = {{1'000'123, 3'000'000, 12, 2, Phase::train_step}};
  const std::int64_t clamped = write_chrome_trace(file.path, {.rank = 3, .world_size = 4, .backend = "nccl", .device_name = "G",
                                                              .process = 10, .thread = 11, .spans = &spans, .gpu = &gpu,
                                                              .profiler_steps = true});
  CHECK(clamped == 1);
  const std::string text = read_file(file.path);
  CHECK(std::regex_search(text, std::regex(R"("rank":\s+(3))")));
  const json trace = json::parse(text);
  CHECK(trace["distributedInfo"]["world_size"] == 4);
  CHECK(trace["baseTimeNanoseconds"].get<std::int64_t>() > 1'500'000'000'000'000'000);
  std::vector<std::string> categories;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] != "X") continue;
    categories.push_back(event["cat"].get<std::string>() + ' ' + event["name"].get<std::string>());
    if (event["name"] == "train.step") {
      CHECK(event["ts"].get<double>() == Approx(1000.123));
      CHECK(event["dur"].get<double>() == Approx(1999.877));
      CHECK(event["args"]["number"] == 12);
    }
    if (event["cat"] == "gpu_memcpy") CHECK(event["args"]["bytes"] == 1000);
  }
  CHECK(categories == std::vector<std::string>{"user_annotation train.step", "user_annotation ProfilerStep#12",
                                               "user_annotation ProfilerStep#13", "cuda_runtime cudaLaunchKernel",
                                               "kernel void k<\"x\">(\\)", "kernel void k<\"x\">(\\)",
                                               "gpu_memcpy Memcpy HtoD (Pinned -> Device)"});
}

TEST_CASE("a Chrome trace without a GPU holds the host's spans") {
  const TemporaryFile file("_host.json");
  const std::vector<Span> spans = {{0, 1000, 0, 0, Phase::val_epoch}};
  CHECK(write_chrome_trace(file.path, {.spans = &spans}) == 0);
  CHECK(json::parse(read_file(file.path))["traceEvents"].size() == 3);
  CHECK_THROWS_AS(write_chrome_trace("/nonexistent/trace.json", {.spans = &spans}), RecordError);
}

TEST_CASE("a profiler that is off says so") {
  const Tracer tracer;
  const auto profiler = make_profiler(GpuTracing::off, tracer);
  profiler->start();
  const GpuTrace trace = profiler->stop();
  CHECK_FALSE(trace.available);
  CHECK(trace.reason == "not asked for");
}

TEST_CASE("without a driver GPU tracing is off for a stated reason") {
  if (std::filesystem::exists("/dev/nvidiactl")) VB_SKIP("this machine has an NVIDIA driver");
  const Tracer tracer(10);
  const auto profiler = make_profiler(GpuTracing::cupti, tracer);
  profiler->start();
  const GpuTrace trace = profiler->stop();
  CHECK_FALSE(trace.available);
  INFO(trace.reason);
  CHECK_FALSE(trace.reason.empty());
  CHECK_FALSE(probe_gpu_tracing().empty());
}

TEST_CASE("NVTX ranges open and close without a tool") {
  Tracer tracer;
  NvtxRanges ranges;
  tracer.add_listener(ranges);
  ranges.window_begin();
  {
    const ScopedSpan epoch(tracer, Phase::val_epoch, 1);
    const ScopedSpan batch(tracer, Phase::val_batch, 2);
  }
  ranges.window_end();
  CHECK(tracer.sum(Phase::val_batch).count == 1);
}
