/// \file
/// Every call to CUPTI, and the few to the driver that tracing needs, behind one interface that tests can fake.
#pragma once
#include <cupti.h>

#include <memory>
#include <string>

namespace valbench {

/// CUPTI's functions under their own names and codes; see NVIDIA's reference. Calls are as thread-safe as CUPTI's.
class CuptiApi {
 public:
  virtual ~CuptiApi() = default;

  /// Initialises the driver. The reason why there is no GPU to trace (`no NVIDIA driver (…)`), or an empty string.
  virtual std::string driver_problem() = 0;
  /// Waits until the current context's work is done; the driver's code, 0 for success.
  virtual int synchronize() = 0;

  virtual CUptiResult subscribe(CUpti_SubscriberHandle* subscriber, CUpti_SubscriberParams* params) = 0;
  virtual CUptiResult unsubscribe(CUpti_SubscriberHandle subscriber) = 0;
  virtual CUptiResult set_thread_id_type(CUpti_ActivityThreadIdType type) = 0;
  virtual CUptiResult register_timestamp(CUpti_TimestampCallbackFunc timestamp) = 0;
  virtual CUptiResult register_callbacks(CUpti_BuffersCallbackRequestFunc requested,
                                         CUpti_BuffersCallbackCompleteFunc completed) = 0;
  virtual CUptiResult enable(CUpti_ActivityKind kind) = 0;
  virtual CUptiResult disable(CUpti_ActivityKind kind) = 0;
  virtual CUptiResult filter_runtime_api(CUpti_CallbackId id, bool on) = 0;
  virtual CUptiResult filter_driver_api(CUpti_CallbackId id, bool on) = 0;
  virtual CUptiResult flush_all(std::uint32_t flags) = 0;
  virtual CUptiResult next_record(std::uint8_t* buffer, std::size_t valid_bytes, CUpti_Activity** record) = 0;
  virtual CUptiResult dropped_records(CUcontext context, std::uint32_t stream, std::size_t* dropped) = 0;

  /// `cudaLaunchKernel_v7000`; empty when CUPTI does not know it.
  virtual std::string callback_name(CUpti_CallbackDomain domain, CUpti_CallbackId id) = 0;
  /// `39 (CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED)`.
  virtual std::string result_text(CUptiResult result) = 0;
};

/// The library that LibTorch has loaded, else libcupti.so.13 or libcupti.so by the loader's search. Null when there is none
/// or a function is missing; `reason` then says which.
std::unique_ptr<CuptiApi> load_cupti_api(std::string& reason);

}  // namespace valbench
