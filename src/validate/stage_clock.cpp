#include "validate/stage_clock.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include "base/clock.h"

namespace valbench {
namespace {

struct Stage {
  Phase phase;
  const char* name;
};
constexpr Stage kStages[] = {{Phase::val_data, "load"},
                             {Phase::val_h2d, "h2d"},
                             {Phase::val_forward, "forward"},
                             {Phase::val_nms, "nms"},
                             {Phase::val_match, "match"}};

}  // namespace

StageClock::StageClock(c10::Device device, std::function<void(std::int64_t done)> on_batch)
    : device_(device), on_batch_(std::move(on_batch)) {}

void StageClock::wait_for_device() const {
  if (device_.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(device_.index());
}

// A failed kernel is thrown where the device is waited for, and spans end while an exception is on its way.
void StageClock::keep_failure() noexcept {
  if (!failure_) failure_ = std::current_exception();
}

void StageClock::span_begin(Phase phase, std::int64_t) noexcept {
  try {
    wait_for_device();
  } catch (...) {
    keep_failure();
  }
  begin_ns_[static_cast<std::size_t>(phase)] = now_ns();
}

void StageClock::span_end(Phase phase, std::int64_t) noexcept {
  try {
    wait_for_device();
    const auto i = static_cast<std::size_t>(phase);
    total_ns_[i] += now_ns() - begin_ns_[i];
    if (phase == Phase::val_batch && on_batch_) on_batch_(++batches_);
  } catch (...) {
    keep_failure();
  }
}

std::map<std::string, double> StageClock::seconds() const {
  if (failure_) std::rethrow_exception(failure_);
  std::map<std::string, double> all;
  for (const Stage& stage : kStages) all[stage.name] = seconds_between(0, total_ns_[static_cast<std::size_t>(stage.phase)]);
  return all;
}

}  // namespace valbench
