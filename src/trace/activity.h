/// \file
/// What a GPU did, and which host call asked for it. Plain structs: any profiler can fill them.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "trace/phase.h"

namespace valbench {

enum class ActivityKind : std::uint8_t { kernel, comm_kernel, memcpy, memset };

/// One kernel, copy or fill on a GPU. Times lie on the axis of now_ns().
struct Activity {
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int64_t launch_ns = 0;     ///< Begin of the host call that launched it; 0 when that record is missing.
  std::uint64_t bytes = 0;        ///< Of a copy or fill; 0 for kernels.
  std::uint32_t name = 0;         ///< Index into GpuTrace::names.
  std::uint32_t correlation = 0;  ///< The same number as its launch's.
  std::uint32_t device = 0, context = 0, stream = 0;
  ActivityKind kind = ActivityKind::kernel;
  std::optional<Phase> phase;     ///< The host phase that launched it; not the one during which it ran.
};

/// One call of the CUDA runtime or driver.
struct ApiCall {
  std::int64_t begin_ns = 0, end_ns = 0;
  std::uint32_t name = 0;         ///< Index into GpuTrace::names.
  std::uint32_t correlation = 0;
  std::uint32_t thread = 0;       ///< gettid of the caller.
  bool driver = false;            ///< Driver API rather than runtime API.
  bool launches_kernel = false;   ///< A call that must be followed by a kernel record of its correlation.
};

/// NCCL's kernels are communication, whatever they compute (profiling.md §1.3: both spellings occur).
constexpr bool is_comm_kernel(std::string_view name) {
  return name.starts_with("ncclDevKernel") || name.starts_with("ncclKernel");
}

}  // namespace valbench
