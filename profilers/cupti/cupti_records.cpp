#include "profilers/cupti/cupti_records.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace valbench {
namespace {

// The newest layouts of the headers built against. CUPTI only ever appends to them.
using KernelRecord = CUpti_ActivityKernel10;
using CopyRecord = CUpti_ActivityMemcpy6;
using PeerCopyRecord = CUpti_ActivityMemcpyPtoP4;
using FillRecord = CUpti_ActivityMemset4;

// CUPTI gives kernels their linker names; NCCL's are C++ too.
std::string demangled(const std::string& name) {
  if (!name.starts_with("_Z")) return name;  // "f" alone would come back as "float".
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 ? std::string(text.get()) : name;
}

std::string memory_name(unsigned kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE:
      return "Pageable";
    case CUPTI_ACTIVITY_MEMORY_KIND_PINNED:
      return "Pinned";
    case CUPTI_ACTIVITY_MEMORY_KIND_DEVICE:
      return "Device";
    case CUPTI_ACTIVITY_MEMORY_KIND_ARRAY:
      return "Array";
    case CUPTI_ACTIVITY_MEMORY_KIND_MANAGED:
      return "Managed";
    default:
      return "Unknown";
  }
}

// `Memcpy HtoD (Pinned -> Device)`: the names that trace analysers look for.
std::string copy_name(const CopyRecord& copy) {
  const char* direction = "Unknown";
  switch (copy.copyKind) {
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD:
      direction = "HtoD";
      break;
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH:
      direction = "DtoH";
      break;
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD:
      direction = "DtoD";
      break;
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOH:
      direction = "HtoH";
      break;
    case CUPTI_ACTIVITY_MEMCPY_KIND_PTOP:
      direction = "PtoP";
      break;
    default:
      break;
  }
  return std::string("Memcpy ") + direction + " (" + memory_name(copy.srcKind) + " -> " + memory_name(copy.dstKind) +
         ")";
}

template <typename Record>
Activity located(const Record& record) {
  Activity activity;
  activity.device = record.deviceId;
  activity.context = record.contextId;
  activity.stream = record.streamId;
  activity.correlation = record.correlationId;
  return activity;
}

template <typename Record>
Activity moved(const Record& record, ActivityKind kind, std::uint32_t name) {
  Activity activity = located(record);
  activity.bytes = record.bytes;
  activity.kind = kind;
  activity.name = name;
  return activity;
}

// A graph launch is followed by many kernels or by none, so it promises nothing; nor does a launch during stream
// capture, which LibTorch only does when asked for CUDA graphs.
bool launches_kernel(std::string_view name) {
  return name.starts_with("cudaLaunchKernel") || name.starts_with("cudaLaunchCooperativeKernel") ||
         name.starts_with("cuLaunchKernel") || name.starts_with("cuLaunchCooperativeKernel");
}

// `cudaLaunchKernel_v7000` and `cudaLaunchKernel_ptsz_v7000` are one call to a reader.
std::string without_version(std::string name) {
  const auto at = name.rfind("_v");
  if (at != std::string::npos && at + 2 < name.size() &&
      name.find_first_not_of("0123456789", at + 2) == std::string::npos) {
    name.resize(at);
  }
  if (name.ends_with("_ptsz")) name.resize(name.size() - 5);
  return name;
}

}  // namespace

void CuptiRecords::parse(std::uint8_t* buffer, std::size_t valid_bytes) {
  if (valid_bytes == 0) return;
  CUpti_Activity* record = nullptr;
  for (;;) {
    const CUptiResult result = api_.next_record(buffer, valid_bytes, &record);
    if (result != CUPTI_SUCCESS) {
      if (result != CUPTI_ERROR_MAX_LIMIT_REACHED) ++broken_buffers_;
      return;
    }
    add(*record);
  }
}

void CuptiRecords::add(const CUpti_Activity& record) {
  switch (record.kind) {
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto& kernel = reinterpret_cast<const KernelRecord&>(record);
      Activity activity = located(kernel);
      activity.name = name_index(kernel.name != nullptr ? kernel.name : "(unnamed kernel)");
      activity.kind = is_comm_kernel(names_[activity.name]) ? ActivityKind::comm_kernel : ActivityKind::kernel;
      return add_activity(activity, kernel.start, kernel.end);
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& copy = reinterpret_cast<const CopyRecord&>(record);
      return add_activity(moved(copy, ActivityKind::memcpy, name_index(copy_name(copy))), copy.start, copy.end);
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY2: {
      const auto& copy = reinterpret_cast<const PeerCopyRecord&>(record);
      return add_activity(moved(copy, ActivityKind::memcpy, name_index("Memcpy PtoP (Device -> Device)")), copy.start,
                          copy.end);
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& fill = reinterpret_cast<const FillRecord&>(record);
      const std::string name = "Memset (" + memory_name(fill.memoryKind) + ")";
      return add_activity(moved(fill, ActivityKind::memset, name_index(name)), fill.start, fill.end);
    }
    case CUPTI_ACTIVITY_KIND_RUNTIME:
    case CUPTI_ACTIVITY_KIND_DRIVER:
      return add_call(reinterpret_cast<const CUpti_ActivityAPI&>(record));
    default:
      ++unknown_;
  }
}

void CuptiRecords::add_activity(Activity activity, std::uint64_t start, std::uint64_t end) {
  // Exhausted device buffers show only as records without times.
  if (start == 0 || end < start || end == 0) {
    ++invalid_;
    return;
  }
  activity.begin_ns = static_cast<std::int64_t>(start);
  activity.end_ns = static_cast<std::int64_t>(end);
  activities_.push_back(activity);
}

void CuptiRecords::add_call(const CUpti_ActivityAPI& record) {
  const bool driver = record.kind == CUPTI_ACTIVITY_KIND_DRIVER;
  auto [name, added] = callback_names_.try_emplace({driver, record.cbid}, 0);
  if (added) {
    std::string text = without_version(
        api_.callback_name(driver ? CUPTI_CB_DOMAIN_DRIVER_API : CUPTI_CB_DOMAIN_RUNTIME_API, record.cbid));
    if (text.empty()) text = (driver ? "driver call " : "runtime call ") + std::to_string(record.cbid);
    name->second = name_index(text);
  }
  calls_.push_back({.begin_ns = static_cast<std::int64_t>(record.start),
                    .end_ns = static_cast<std::int64_t>(record.end),
                    .name = name->second,
                    .correlation = record.correlationId,
                    .thread = record.threadId,
                    .driver = driver,
                    // A launch that the driver refused promises no kernel.
                    .launches_kernel = record.returnValue == 0 && launches_kernel(names_[name->second])});
}

std::uint32_t CuptiRecords::name_index(const std::string& name) {
  const auto [found, added] = name_indices_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
  if (added) names_.push_back(demangled(name));
  return found->second;
}

}  // namespace valbench
