#include <algorithm>
#include <deque>
#include <map>
#include <variant>

#include "profilers/cupti/cupti_api.h"
#include "profilers/cupti/cupti_profiler.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

using Record = std::variant<CUpti_ActivityKernel10, CUpti_ActivityMemcpy6, CUpti_ActivityMemset4, CUpti_ActivityAPI>;

/// What the fake answers and what it was asked.
struct Script {
  std::string driver_problem;
  std::map<std::string, CUptiResult> results;  // by function; success otherwise
  std::string owner;                           // of CUPTI, when subscribing is refused
  std::size_t dropped = 0;
  int synchronize = 0;
  bool break_buffer = false;
  std::deque<Record> records;  // delivered at the first flush
  std::vector<std::string> calls;
};

/// Hands out hand-made records through the buffers and callbacks that the profiler registered.
class FakeCuptiApi : public CuptiApi {
 public:
  explicit FakeCuptiApi(Script& script) : script_(script) {}
  std::string driver_problem() override { return script_.driver_problem; }
  int synchronize() override { return script_.synchronize; }
  CUptiResult subscribe(CUpti_SubscriberHandle*, CUpti_SubscriberParams* params) override {
    script_.owner.copy(params->oldSubscriberName, params->oldSubscriberSize - 1);
    return answer("subscribe");
  }
  CUptiResult unsubscribe(CUpti_SubscriberHandle) override { return answer("unsubscribe"); }
  CUptiResult set_thread_id_type(CUpti_ActivityThreadIdType) override { return answer("set_thread_id_type"); }
  CUptiResult register_timestamp(CUpti_TimestampCallbackFunc) override { return answer("register_timestamp"); }
  CUptiResult register_callbacks(CUpti_BuffersCallbackRequestFunc requested,
                                 CUpti_BuffersCallbackCompleteFunc completed) override {
    requested_ = requested, completed_ = completed;
    return answer("register_callbacks");
  }
  CUptiResult enable(CUpti_ActivityKind kind) override { return answer("enable " + std::to_string(kind)); }
  CUptiResult disable(CUpti_ActivityKind kind) override { return answer("disable " + std::to_string(kind)); }
  CUptiResult filter_runtime_api(CUpti_CallbackId, bool) override { return CUPTI_SUCCESS; }
  CUptiResult filter_driver_api(CUpti_CallbackId, bool) override { return CUPTI_SUCCESS; }
  CUptiResult flush_all(std::uint32_t flags) override {
    if (!script_.records.empty()) {
      std::uint8_t* buffer = nullptr;
      std::size_t size = 0, most = 1;
      requested_(&buffer, &size, &most);
      CHECK(size >= (1u << 20));
      CHECK(most == 0);
      completed_(nullptr, 0, buffer, size, script_.records.size());
    }
    return answer(flags == 0 ? "flush" : "forced flush");
  }
  // On the profiler's own thread, one record after another; the buffer itself stays empty.
  CUptiResult next_record(std::uint8_t*, std::size_t, CUpti_Activity** record) override {
    if (script_.records.empty()) return script_.break_buffer ? CUPTI_ERROR_INVALID_KIND : CUPTI_ERROR_MAX_LIMIT_REACHED;
    handed_out_.push_back(script_.records.front());
    script_.records.pop_front();
    *record = std::visit([](auto& r) { return reinterpret_cast<CUpti_Activity*>(&r); }, handed_out_.back());
    return CUPTI_SUCCESS;
  }
  CUptiResult dropped_records(CUcontext, std::uint32_t, std::size_t* dropped) override {
    *dropped = script_.dropped;
    return answer("dropped");
  }
  std::string callback_name(CUpti_CallbackDomain, CUpti_CallbackId id) override {
    return id == 1 ? "cudaLaunchKernel_v7000" : id == 2 ? "cudaMemcpyAsync_ptsz_v7000" : "";
  }
  std::string result_text(CUptiResult result) override { return std::to_string(static_cast<int>(result)); }

 private:
  CUptiResult answer(const std::string& call) {
    script_.calls.push_back(call);
    const auto found = script_.results.find(call);
    return found == script_.results.end() ? CUPTI_SUCCESS : found->second;
  }

  Script& script_;
  std::deque<Record> handed_out_;
  CUpti_BuffersCallbackRequestFunc requested_ = nullptr;
  CUpti_BuffersCallbackCompleteFunc completed_ = nullptr;
};

Record kernel(const char* name, std::int64_t begin_ns, std::int64_t end_ns, std::uint32_t correlation) {
  CUpti_ActivityKernel10 record{};
  record.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
  record.name = name;
  record.start = static_cast<std::uint64_t>(begin_ns), record.end = static_cast<std::uint64_t>(end_ns);
  record.correlationId = correlation;
  record.streamId = 7;
  return record;
}

Record copy(std::int64_t begin_ns, std::int64_t end_ns, std::uint32_t correlation) {
  CUpti_ActivityMemcpy6 record{};
  record.kind = CUPTI_ACTIVITY_KIND_MEMCPY;
  record.copyKind = CUPTI_ACTIVITY_MEMCPY_KIND_HTOD;
  record.srcKind = CUPTI_ACTIVITY_MEMORY_KIND_PINNED, record.dstKind = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE;
  record.start = static_cast<std::uint64_t>(begin_ns), record.end = static_cast<std::uint64_t>(end_ns);
  record.bytes = 4096;
  record.correlationId = correlation;
  return record;
}

Record fill(std::int64_t begin_ns, std::int64_t end_ns, std::uint32_t correlation) {
  CUpti_ActivityMemset4 record{};
  record.kind = CUPTI_ACTIVITY_KIND_MEMSET;
  record.start = static_cast<std::uint64_t>(begin_ns), record.end = static_cast<std::uint64_t>(end_ns);
  record.memoryKind = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE;
  record.correlationId = correlation;
  return record;
}

Record call(CUpti_CallbackId id, std::int64_t begin_ns, std::uint32_t correlation, std::uint32_t thread = 1) {
  CUpti_ActivityAPI record{};
  record.kind = CUPTI_ACTIVITY_KIND_RUNTIME;
  record.cbid = id;
  record.start = static_cast<std::uint64_t>(begin_ns), record.end = record.start + 5;
  record.correlationId = correlation;
  record.threadId = thread;
  return record;
}

GpuTrace trace_of(Script& script, const Tracer& tracer) {
  const auto profiler = make_cupti_profiler(tracer, std::make_unique<FakeCuptiApi>(script));
  profiler->start();
  return profiler->stop();
}

bool mentions(const GpuTrace& trace, const std::string& text) {
  for (const std::string& sentence : trace.health) {
    if (sentence.find(text) != std::string::npos) return true;
  }
  return false;
}

/// Two spans one after the other, at times the records can be made to fit.
struct TwoPhases {
  Tracer tracer{8};
  std::int64_t forward_ns, backward_ns;
  TwoPhases() {
    { const ScopedSpan span(tracer, Phase::train_forward); }
    { const ScopedSpan span(tracer, Phase::train_backward); }
    forward_ns = tracer.spans()[0].begin_ns;
    backward_ns = tracer.spans()[1].begin_ns;
  }
};

}  // namespace

TEST_CASE("kernels and copies count for the phase that launched them, on whatever thread") {
  TwoPhases run;
  Script script;
  const std::int64_t f = run.forward_ns, b = run.backward_ns;
  script.records = {call(1, f, 1),     kernel("sgemm", b, b + 2000, 1),
                    call(1, b, 2, 99), kernel("_Z39ncclDevKernel_AllReduce_Sum_f32_RING_LL24ncclDevKernelArgsStorageILm4096EE", b + 2000, b + 5000, 2),
                    call(2, b, 3),     copy(b, b + 100, 3),
                    call(3, b, 4),     fill(b, b + 10, 4)};
  const GpuTrace trace = trace_of(script, run.tracer);
  REQUIRE(trace.available);
  CHECK(trace.complete());
  CHECK(trace.health.empty());
  // CUPTI gives linker names.
  const auto is_all_reduce = [](const std::string& name) { return name.starts_with("ncclDevKernel_AllReduce_Sum_f32_RING_LL("); };
  CHECK(std::any_of(trace.names.begin(), trace.names.end(), is_all_reduce));
  CHECK(std::find(trace.names.begin(), trace.names.end(), "sgemm") != trace.names.end());
  CHECK(trace.of(Phase::train_forward).kernel_s == Approx(2e-6));
  CHECK(trace.of(Phase::train_backward).comm_kernel_s == Approx(3e-6));
  CHECK(trace.of(Phase::train_backward).memcpy_s == Approx(1e-7));
  CHECK(trace.of(Phase::train_backward).fills == 1);
  CHECK(trace.unattributed_share() == 0);
  REQUIRE(trace.launches.size() == 4);
  CHECK(trace.names[trace.launches[0].name] == "cudaLaunchKernel");
  CHECK(std::find(trace.names.begin(), trace.names.end(), "cudaMemcpyAsync") != trace.names.end());
  CHECK(std::find(trace.names.begin(), trace.names.end(), "Memcpy HtoD (Pinned -> Device)") != trace.names.end());
  CHECK(script.calls.back() == "unsubscribe");
  CHECK(std::find(script.calls.begin(), script.calls.end(), "forced flush") != script.calls.end());
}

TEST_CASE("dropped, invalid, orphaned and missing records are counted and told") {
  TwoPhases run;
  Script script;
  script.dropped = 7;
  script.break_buffer = true;
  const std::int64_t f = run.forward_ns;
  script.records = {call(1, f, 1),
                    kernel("a", 0, 0, 1),
                    call(1, f, 2),
                    kernel("a", f + 9, f + 5, 2),
                    kernel("a", f, f + 4, 3),
                    kernel("b", f, f + 4, 4),
                    call(1, f, 4)};
  const GpuTrace trace = trace_of(script, run.tracer);
  CHECK(trace.available);
  CHECK_FALSE(trace.complete());
  CHECK(trace.losses.dropped == 7);
  CHECK(trace.losses.invalid == 2);
  CHECK(trace.losses.orphans == 1);
  CHECK(trace.losses.missing == 2);
  CHECK(trace.unattributed_share() == Approx(.5));
  for (const char* text : {"7 records were dropped", "2 records carry no valid times", "1 activities have no launch",
                           "2 launches have no kernel", "1 buffers could not be read", "50.0"}) {
    INFO(text);
    CHECK(mentions(trace, text));
  }
}

TEST_CASE("a machine without a driver, a busy CUPTI and a refusal each give their reason") {
  const Tracer tracer(1);
  Script none;
  none.driver_problem = "no NVIDIA driver (libcuda.so.1 cannot be loaded)";
  CHECK(trace_of(none, tracer).reason == none.driver_problem);
  CHECK(none.calls.empty());

  Script busy;
  busy.results["subscribe"] = CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
  busy.owner = "Nsight Systems";
  const GpuTrace trace = trace_of(busy, tracer);
  CHECK_FALSE(trace.available);
  CHECK(trace.reason == "CUPTI is in use by Nsight Systems: 39");
  CHECK(busy.calls == std::vector<std::string>{"subscribe"});

  Script refused;
  refused.results["subscribe"] = CUPTI_ERROR_INSUFFICIENT_PRIVILEGES;
  CHECK(trace_of(refused, tracer).reason == "CUPTI refused to trace: 35");
}

TEST_CASE("a kind that is refused ends the window cleanly") {
  const Tracer tracer(1);
  Script script;
  script.results["enable 2"] = CUPTI_ERROR_NOT_SUPPORTED;
  const GpuTrace trace = trace_of(script, tracer);
  CHECK_FALSE(trace.available);
  CHECK(trace.reason == "activity kind 2: cuptiActivityEnable was refused: 27");
  CHECK(script.calls.back() == "unsubscribe");
  CHECK(std::find(script.calls.begin(), script.calls.end(), "disable 10") != script.calls.end());
}

TEST_CASE("a window without GPU work and a failing device are told") {
  const Tracer tracer(1);
  Script script;
  script.synchronize = 700;
  script.results["dropped"] = CUPTI_ERROR_UNKNOWN;
  const GpuTrace trace = trace_of(script, tracer);
  CHECK(trace.available);
  CHECK(mentions(trace, "no GPU work was recorded"));
  CHECK(mentions(trace, "cuCtxSynchronize returned 700"));
  CHECK(mentions(trace, "cuptiActivityGetNumDroppedRecords failed with 999"));
}

TEST_CASE("a profiler that is destroyed in an open window lets CUPTI go") {
  const Tracer tracer(1);
  Script script;
  { make_cupti_profiler(tracer, std::make_unique<FakeCuptiApi>(script))->start(); }
  CHECK(script.calls.back() == "unsubscribe");
}
