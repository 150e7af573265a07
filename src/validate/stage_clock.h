/// \file
/// Seconds per stage of a validation, as YOLOv5 measures them: the device has finished when a stage begins and ends.
#pragma once
#include <c10/core/Device.h>

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <string>

#include "trace/tracer.h"

namespace valbench {

/// Waits for the device around the stages, which a training's validation must not do; counts batches. A failure of the device, or of
/// `on_batch`, is kept: spans must not throw.
class StageClock final : public SpanListener {
 public:
  StageClock(c10::Device device, std::function<void(std::int64_t done)> on_batch);

  void span_begin(Phase phase, std::int64_t number) noexcept override;
  void span_end(Phase phase, std::int64_t number) noexcept override;

  /// Stage name -> seconds: load, h2d, forward, nms, match. Throws the first failure that a span met.
  std::map<std::string, double> seconds() const;

 private:
  void wait_for_device() const;
  void keep_failure() noexcept;

  c10::Device device_;
  std::function<void(std::int64_t done)> on_batch_;
  std::int64_t batches_ = 0;
  std::exception_ptr failure_;
  std::array<std::int64_t, kPhaseCount> begin_ns_{}, total_ns_{};
};

}  // namespace valbench
