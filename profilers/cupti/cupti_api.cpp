#include "profilers/cupti/cupti_api.h"

#include <dlfcn.h>

#include <array>

namespace valbench {
namespace {

constexpr std::array<const char*, 3> kLibraries = {"libcupti.so.13", "libcupti.so.12", "libcupti.so"};

// cuptiSubscribe_v2 wants a callback, though no callback domain is ever enabled.
void CUPTIAPI no_callback(void*, CUpti_CallbackDomain, CUpti_CallbackId, const void*) {}

/// The driver's entry points that tracing needs. CUDA's own headers are not used: these have been stable since CUDA 4.
struct Driver {
  int (*init)(unsigned) = nullptr;
  int (*device_count)(int*) = nullptr;
  int (*synchronize)() = nullptr;
  bool load() {
    void* library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr) return false;
    init = reinterpret_cast<decltype(init)>(dlsym(library, "cuInit"));
    device_count = reinterpret_cast<decltype(device_count)>(dlsym(library, "cuDeviceGetCount"));
    synchronize = reinterpret_cast<decltype(synchronize)>(dlsym(library, "cuCtxSynchronize"));
    return init != nullptr && device_count != nullptr && synchronize != nullptr;
  }
};

/// CUPTI's functions, as looked up in the library.
struct Functions {
  decltype(&::cuptiSubscribe_v2) subscribe = nullptr;
  decltype(&::cuptiUnsubscribe) unsubscribe = nullptr;
  decltype(&::cuptiSetThreadIdType) set_thread_id_type = nullptr;
  decltype(&::cuptiActivityRegisterTimestampCallback) register_timestamp = nullptr;
  decltype(&::cuptiActivityRegisterCallbacks) register_callbacks = nullptr;
  decltype(&::cuptiActivityEnable) enable = nullptr;
  decltype(&::cuptiActivityDisable) disable = nullptr;
  decltype(&::cuptiActivityEnableRuntimeApi) enable_runtime_api = nullptr;
  decltype(&::cuptiActivityEnableDriverApi) enable_driver_api = nullptr;
  decltype(&::cuptiActivityFlushAll) flush_all = nullptr;
  decltype(&::cuptiActivityGetNextRecord) next_record = nullptr;
  decltype(&::cuptiActivityGetNumDroppedRecords) dropped_records = nullptr;
  decltype(&::cuptiGetCallbackName) callback_name = nullptr;
  decltype(&::cuptiGetResultString) result_string = nullptr;

  /// The name of the first function that the library lacks, or null.
  const char* load(void* library) {
    const char* missing = nullptr;
    const auto find = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      if (function == nullptr && missing == nullptr) missing = name;
    };
    find(subscribe, "cuptiSubscribe_v2");
    find(unsubscribe, "cuptiUnsubscribe");
    find(set_thread_id_type, "cuptiSetThreadIdType");
    find(register_timestamp, "cuptiActivityRegisterTimestampCallback");
    find(register_callbacks, "cuptiActivityRegisterCallbacks");
    find(enable, "cuptiActivityEnable");
    find(disable, "cuptiActivityDisable");
    find(enable_runtime_api, "cuptiActivityEnableRuntimeApi");
    find(enable_driver_api, "cuptiActivityEnableDriverApi");
    find(flush_all, "cuptiActivityFlushAll");
    find(next_record, "cuptiActivityGetNextRecord");
    find(dropped_records, "cuptiActivityGetNumDroppedRecords");
    find(callback_name, "cuptiGetCallbackName");
    find(result_string, "cuptiGetResultString");
    return missing;
  }
};

class LoadedCuptiApi : public CuptiApi {
 public:
  explicit LoadedCuptiApi(const Functions& functions) : cupti_(functions) {}

  std::string driver_problem() override {
    if (driver_.init == nullptr && !driver_.load()) return "no NVIDIA driver (libcuda.so.1 cannot be loaded)";
    // A toolkit's stub library answers 34.
    if (const int code = driver_.init(0); code != 0) return "no usable NVIDIA driver (cuInit returned " + std::to_string(code) + ")";
    int devices = 0;
    const int code = driver_.device_count(&devices);
    if (code != 0) return "no usable NVIDIA driver (cuDeviceGetCount returned " + std::to_string(code) + ")";
    return devices == 0 ? "the NVIDIA driver shows no GPU" : "";
  }
  int synchronize() override { return driver_.synchronize == nullptr ? 0 : driver_.synchronize(); }

  CUptiResult subscribe(CUpti_SubscriberHandle* subscriber, CUpti_SubscriberParams* params) override {
    return cupti_.subscribe(subscriber, no_callback, nullptr, params);
  }
  CUptiResult unsubscribe(CUpti_SubscriberHandle subscriber) override { return cupti_.unsubscribe(subscriber); }
  CUptiResult set_thread_id_type(CUpti_ActivityThreadIdType type) override { return cupti_.set_thread_id_type(type); }
  CUptiResult register_timestamp(CUpti_TimestampCallbackFunc timestamp) override {
    return cupti_.register_timestamp(timestamp);
  }
  CUptiResult register_callbacks(CUpti_BuffersCallbackRequestFunc requested,
                                 CUpti_BuffersCallbackCompleteFunc completed) override {
    return cupti_.register_callbacks(requested, completed);
  }
  CUptiResult enable(CUpti_ActivityKind kind) override { return cupti_.enable(kind); }
  CUptiResult disable(CUpti_ActivityKind kind) override { return cupti_.disable(kind); }
  CUptiResult filter_runtime_api(CUpti_CallbackId id, bool on) override { return cupti_.enable_runtime_api(id, on ? 1 : 0); }
  CUptiResult filter_driver_api(CUpti_CallbackId id, bool on) override { return cupti_.enable_driver_api(id, on ? 1 : 0); }
  CUptiResult flush_all(std::uint32_t flags) override { return cupti_.flush_all(flags); }
  CUptiResult next_record(std::uint8_t* buffer, std::size_t valid_bytes, CUpti_Activity** record) override {
    return cupti_.next_record(buffer, valid_bytes, record);
  }
  CUptiResult dropped_records(CUcontext context, std::uint32_t stream, std::size_t* dropped) override {
    return cupti_.dropped_records(context, stream, dropped);
  }
  std::string callback_name(CUpti_CallbackDomain domain, CUpti_CallbackId id) override {
    const char* name = nullptr;
    return cupti_.callback_name(domain, id, &name) == CUPTI_SUCCESS && name != nullptr ? name : "";
  }
  std::string result_text(CUptiResult result) override {
    const char* text = nullptr;
    const bool known = cupti_.result_string(result, &text) == CUPTI_SUCCESS && text != nullptr;
    return std::to_string(static_cast<int>(result)) + " (" + (known ? text : "unknown code") + ")";
  }

 private:
  Functions cupti_;
  Driver driver_;
};

}  // namespace

std::unique_ptr<CuptiApi> load_cupti_api(std::string& reason) {
  void* library = nullptr;
  // A second copy beside the one that LibTorch has loaded would see nothing.
  for (const int flags : {RTLD_LAZY | RTLD_NOLOAD, RTLD_LAZY | RTLD_LOCAL}) {
    for (const char* name : kLibraries) {
      if (library == nullptr) library = dlopen(name, flags);
    }
  }
  if (library == nullptr) {
    reason = "libcupti.so.13 cannot be loaded; it comes with LibTorch's CUDA wheels and with the CUDA toolkit";
    return nullptr;
  }
  Functions functions;
  if (const char* missing = functions.load(library); missing != nullptr) {
    reason = std::string("this libcupti has no ") + missing + "; CUPTI 12.6 or newer is needed";
    return nullptr;
  }
  return std::make_unique<LoadedCuptiApi>(functions);
}

}  // namespace valbench
