#include "profilers/cupti/cupti_profiler.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <unordered_set>
#include <utility>

#include "profilers/cupti/cupti_api.h"
#include "profilers/cupti/cupti_buffers.h"
#include "profilers/cupti/cupti_records.h"

namespace valbench {
namespace {

constexpr std::size_t kPooledBuffers = 24;
constexpr double kMostUnattributed = .02;  // profiling.md §3.5

// CONCURRENT_KERNEL, because KERNEL makes kernels run one after another.
constexpr std::array kKinds = {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY,
                               CUPTI_ACTIVITY_KIND_MEMCPY2,           CUPTI_ACTIVITY_KIND_MEMSET,
                               CUPTI_ACTIVITY_KIND_RUNTIME,           CUPTI_ACTIVITY_KIND_DRIVER};

// Calls that LibTorch makes by the thousand and that launch nothing.
constexpr std::array<CUpti_CallbackId, 10> kChattyRuntimeCalls = {
    CUPTI_RUNTIME_TRACE_CBID_cudaGetDevice_v3020,
    CUPTI_RUNTIME_TRACE_CBID_cudaSetDevice_v3020,
    CUPTI_RUNTIME_TRACE_CBID_cudaGetLastError_v3020,
    CUPTI_RUNTIME_TRACE_CBID_cudaPeekAtLastError_v3020,
    CUPTI_RUNTIME_TRACE_CBID_cudaEventQuery_v3020,
    CUPTI_RUNTIME_TRACE_CBID_cudaStreamIsCapturing_v10000,
    CUPTI_RUNTIME_TRACE_CBID_cudaDeviceGetAttribute_v5000,
    CUPTI_RUNTIME_TRACE_CBID_cudaFuncGetAttributes_v3020,
    CUPTI_RUNTIME_TRACE_CBID_cudaPointerGetAttributes_v4000,
    CUPTI_RUNTIME_TRACE_CBID_cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags_v7000};
constexpr std::array<CUpti_CallbackId, 6> kChattyDriverCalls = {
    CUPTI_DRIVER_TRACE_CBID_cuCtxGetCurrent,      CUPTI_DRIVER_TRACE_CBID_cuCtxSetCurrent,
    CUPTI_DRIVER_TRACE_CBID_cuKernelGetAttribute, CUPTI_DRIVER_TRACE_CBID_cuDevicePrimaryCtxGetState,
    CUPTI_DRIVER_TRACE_CBID_cuFuncGetAttribute,   CUPTI_DRIVER_TRACE_CBID_cuPointerGetAttribute};

std::uint64_t CUPTIAPI timestamp() { return static_cast<std::uint64_t>(now_ns()); }

void CUPTIAPI buffer_requested(std::uint8_t** buffer, std::size_t* size, std::size_t* max_records) {
  *buffer = CuptiBuffers::instance().acquire();
  *size = *buffer == nullptr ? 0 : CuptiBuffers::kBufferBytes;
  *max_records = 0;
}

void CUPTIAPI buffer_completed(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid_bytes) {
  CuptiBuffers::instance().complete(buffer, valid_bytes);
}

/// Subscribes; the reason why not, or an empty string.
std::string subscribe(CuptiApi& api, CUpti_SubscriberHandle& subscriber) {
  if (std::string problem = api.driver_problem(); !problem.empty()) return problem;
  std::array<char, 2 * CUPTI_OLD_SUBSCRIBER_NAME_MIN_LEN> owner{};
  CUpti_SubscriberParams params{};
  params.structSize = CUpti_SubscriberParams_STRUCT_SIZE;
  params.subscriberName = "valbench";
  params.oldSubscriberName = owner.data();
  params.oldSubscriberSize = owner.size();
  const CUptiResult result = api.subscribe(&subscriber, &params);
  if (result == CUPTI_SUCCESS) return "";
  owner.back() = '\0';
  if (result == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED) {
    return "CUPTI is in use by " + (owner[0] != '\0' ? std::string(owner.data()) : "another tool") + ": " +
           api.result_text(result);
  }
  return "CUPTI refused to trace: " + api.result_text(result);
}

class CuptiProfiler : public Profiler {
 public:
  CuptiProfiler(const Tracer& tracer, std::unique_ptr<CuptiApi> api) : tracer_(tracer), api_(std::move(api)) {}
  ~CuptiProfiler() override {
    if (subscriber_) static_cast<void>(stop());
  }

  void start() noexcept override {
    try {
      trace_.reason = open();
      trace_.available = trace_.reason.empty();
    } catch (const std::exception& error) {
      trace_.reason = error.what();
    }
    if (!trace_.available) let_go();
    trace_.window.begin_ns = now_ns();
  }

  GpuTrace stop() noexcept override {
    try {
      if (trace_.available) close();
    } catch (const std::exception& error) {
      complain(error.what());
    }
    if (!trace_.available) trace_.window.end_ns = now_ns();
    let_go();
    return std::exchange(trace_, {.reason = "the window was closed before"});
  }

 private:
  std::string open();
  void close();
  void parse_buffers();
  void fetch_records();
  bool kernels_missing();
  void judge();
  void let_go() noexcept;
  void complain(std::string sentence) { trace_.health.push_back(std::move(sentence)); }
  void check(CUptiResult result, const char* what) {
    if (result != CUPTI_SUCCESS) complain(std::string(what) + " failed with " + api_->result_text(result));
  }

  const Tracer& tracer_;
  std::unique_ptr<CuptiApi> api_;
  std::optional<CuptiRecords> records_;
  std::optional<CUpti_SubscriberHandle> subscriber_;
  std::vector<CUpti_ActivityKind> enabled_;
  std::thread parser_;
  std::int64_t unparsed_buffers_ = 0;  // read once the parser has ended
  GpuTrace trace_;
};

std::string CuptiProfiler::open() {
  if (!api_) {
    // CUPTI 13.0 gives wrong correlation ids to graph launches of a second session.
    static std::atomic<bool> session_used{false};
    if (session_used.exchange(true)) return "this process has traced before; CUPTI supports one window per process";
    std::string reason;
    api_ = load_cupti_api(reason);
    if (!api_) return reason;
  }
  CUpti_SubscriberHandle subscriber = nullptr;
  if (std::string reason = subscribe(*api_, subscriber); !reason.empty()) return reason;
  subscriber_ = subscriber;

  const auto refused = [&](const char* what, CUptiResult result) {
    return std::string(what) + " was refused: " + api_->result_text(result);
  };
  // In this order: the system's thread ids and the clock count only if they are set before any kind is enabled.
  if (const auto result = api_->set_thread_id_type(CUPTI_ACTIVITY_THREAD_ID_TYPE_SYSTEM); result != CUPTI_SUCCESS) {
    complain(refused("cuptiSetThreadIdType", result));
  }
  if (const auto result = api_->register_timestamp(timestamp); result != CUPTI_SUCCESS) {
    return refused("cuptiActivityRegisterTimestampCallback", result);
  }
  records_.emplace(*api_);
  CuptiBuffers::instance().reserve(kPooledBuffers);
  if (const auto result = api_->register_callbacks(buffer_requested, buffer_completed); result != CUPTI_SUCCESS) {
    return refused("cuptiActivityRegisterCallbacks", result);
  }
  CuptiBuffers::instance().open();
  parser_ = std::thread([this] { parse_buffers(); });
  for (const CUpti_ActivityKind kind : kKinds) {
    const CUptiResult result = api_->enable(kind);
    if (result != CUPTI_SUCCESS)
      return "activity kind " + std::to_string(kind) + ": " + refused("cuptiActivityEnable", result);
    enabled_.push_back(kind);
  }
  // Only fewer records; a refusal costs nothing but room.
  for (const CUpti_CallbackId id : kChattyRuntimeCalls) api_->filter_runtime_api(id, false);
  for (const CUpti_CallbackId id : kChattyDriverCalls) api_->filter_driver_api(id, false);
  return "";
}

void CuptiProfiler::parse_buffers() {
  CuptiBuffers& buffers = CuptiBuffers::instance();
  for (auto filled = buffers.take(); filled.data != nullptr; filled = buffers.take()) {
    try {
      records_->parse(filled.data, filled.valid_bytes);
    } catch (const std::exception&) {
      ++unparsed_buffers_;
    }
    buffers.give_back(filled.data);
  }
}

void CuptiProfiler::close() {
  if (const int code = api_->synchronize(); code != 0) {
    complain("cuCtxSynchronize returned " + std::to_string(code) + ": the last kernels may be missing");
  }
  trace_.window.end_ns = now_ns();
  fetch_records();
  for (const CUpti_ActivityKind kind : enabled_) check(api_->disable(kind), "cuptiActivityDisable");
  enabled_.clear();
  // The very last flush: it hands out unfinished records too, which are then gone.
  check(api_->flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "the last cuptiActivityFlushAll");
  std::size_t dropped = 0;
  check(api_->dropped_records(nullptr, 0, &dropped), "cuptiActivityGetNumDroppedRecords");
  trace_.losses.dropped = static_cast<std::int64_t>(dropped);
  CuptiBuffers::instance().wait_drained();
  CuptiBuffers::instance().close();
  parser_.join();

  trace_.losses.invalid = records_->invalid();
  trace_.names = std::move(records_->names());
  trace_.activities = std::move(records_->activities());
  std::erase_if(records_->calls(), [&](const ApiCall& call) { return call.begin_ns > trace_.window.end_ns; });
  attribute_phases(trace_, std::move(records_->calls()), tracer_.spans(), tracer_.beside());
  judge();
}

// Delivery ends a little after cuptiActivityFlushAll returns: asks again until every launch has its kernel, with
// growing pauses (a quarter of a second in all) while nothing new comes.
void CuptiProfiler::fetch_records() {
  constexpr std::chrono::milliseconds kLongestPause{128};
  std::size_t activities = 0;
  for (std::chrono::milliseconds pause{1}; pause <= kLongestPause; pause *= 2) {
    const CUptiResult result = api_->flush_all(0);
    check(result, "cuptiActivityFlushAll");
    CuptiBuffers::instance().wait_drained();
    if (result != CUPTI_SUCCESS || !kernels_missing()) return;
    if (activities != records_->activities().size()) pause = std::chrono::milliseconds{1};
    activities = records_->activities().size();
    std::this_thread::sleep_for(pause);
  }
}

// Only called when the parser is idle; the buffers' mutex orders its writes before these reads.
bool CuptiProfiler::kernels_missing() {
  std::unordered_set<std::uint32_t> seen;
  for (const Activity& activity : records_->activities()) seen.insert(activity.correlation);
  return std::any_of(records_->calls().begin(), records_->calls().end(),
                     [&](const ApiCall& call) { return call.launches_kernel && !seen.contains(call.correlation); });
}

void CuptiProfiler::judge() {
  const auto count = [&](std::int64_t number, const char* what) {
    if (number > 0) complain(std::to_string(number) + what);
  };
  count(trace_.losses.dropped, " records were dropped by CUPTI for want of buffers");
  count(trace_.losses.invalid, " records carry no valid times (device buffers exhausted?)");
  count(trace_.losses.orphans, " activities have no launch record, so no phase");
  count(trace_.losses.missing, " launches have no kernel record");
  count(records_->unknown(), " records are of a kind that was not asked for");
  count(records_->broken_buffers() + unparsed_buffers_, " buffers could not be read to their end");
  count(tracer_.lost(), " spans were lost by the tracer: their kernels count for the phase around them");
  count(CuptiBuffers::instance().late_allocations(), " buffers had to be allocated inside CUDA calls");
  if (trace_.activities.empty()) complain("no GPU work was recorded in the window");
  if (const double share = trace_.unattributed_share(); share > kMostUnattributed) {
    complain(std::to_string(100 * share) + " % of the GPU time was launched outside of every span");
  }
}

void CuptiProfiler::let_go() noexcept {
  try {
    for (const CUpti_ActivityKind kind : enabled_) check(api_->disable(kind), "cuptiActivityDisable");
    enabled_.clear();
    // Never cuptiFinalize: after it CUPTI is dead for the process, or the process itself.
    if (subscriber_) check(api_->unsubscribe(*subscriber_), "cuptiUnsubscribe");
    subscriber_.reset();
    CuptiBuffers::instance().close();
    if (parser_.joinable()) parser_.join();
  } catch (const std::exception&) {
    trace_.available = false;
  }
}

}  // namespace

std::unique_ptr<Profiler> make_cupti_profiler(const Tracer& tracer) { return make_cupti_profiler(tracer, nullptr); }

std::unique_ptr<Profiler> make_cupti_profiler(const Tracer& tracer, std::unique_ptr<CuptiApi> api) {
  return std::make_unique<CuptiProfiler>(tracer, std::move(api));
}

std::string probe_cupti() {
  std::string reason;
  const std::unique_ptr<CuptiApi> api = load_cupti_api(reason);
  if (!api) return reason;
  CUpti_SubscriberHandle subscriber = nullptr;
  reason = subscribe(*api, subscriber);
  if (reason.empty() && api->unsubscribe(subscriber) != CUPTI_SUCCESS) reason = "cuptiUnsubscribe failed";
  return reason;
}

}  // namespace valbench
