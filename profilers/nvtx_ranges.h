/// \file
/// The tracer's spans as NVTX ranges, for Nsight and every other tool that listens to NVTX.
#pragma once
#include <array>
#include <cstdint>

#include "trace/tracer.h"

struct nvtxDomainRegistration_st;
struct nvtxStringRegistration_st;

namespace valbench {

/// Opens a range in the domain `valbench` for every span: registered dotted name, payload = the span's number, a fixed colour
/// and category (data, compute, comm, sync, io). Without a tool a range costs a few nanoseconds. Epochs are start/end ranges,
/// which other threads' work belongs to as well; all others are push/pop ranges of the recording thread.
class NvtxRanges : public SpanListener {
 public:
  NvtxRanges();
  void span_begin(Phase phase, std::int64_t number) noexcept override;
  void span_end(Phase phase, std::int64_t number) noexcept override;

  /// The start/end range `bench.window`, by which Nsight Systems gates a capture: `--capture-range=nvtx
  /// -p bench.window@valbench`.
  void window_begin() noexcept;
  void window_end() noexcept;

 private:
  nvtxDomainRegistration_st* domain_ = nullptr;
  std::array<nvtxStringRegistration_st*, kPhaseCount> names_{};
  nvtxStringRegistration_st* window_name_ = nullptr;
  std::array<std::uint64_t, kPhaseCount> open_{};  ///< Start/end ranges that are open.
  std::uint64_t open_window_ = 0;
};

}  // namespace valbench
