/// \file
/// A validation, or what of it follows the network, beside training: placement overlapped, axis `score: background`.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "trace/tracer.h"
#include "validate/background_thread.h"
#include "validate/validation_strategy.h"

namespace valbench {

/// Does one validation at a time on a thread of its own. Where the next one comes before the last is finished, training waits.
class ScoringThread {
 public:
  /// Works with the thread's tracer. No result: another rank has it.
  using Job = std::function<std::optional<ValidationResult>(Tracer&)>;

  /// \param training the tracer of the thread that trains; it outlives this.
  ScoringThread(Tracer& training, c10::Device device);

  /// The thread's own.
  Tracer& tracer() { return beside_; }
  /// Requested when the thread is to end.
  std::stop_token stop_token() const { return thread_.stop_token(); }

  /// Runs `job` there once the one before is finished. What it threw comes out of the next call.
  void start(int epoch, Job job);
  /// Blocks until nothing runs. \param number of the span in which training waits.
  void rest(std::int64_t number);
  std::vector<ValidationResult> take_ready();  ///< Never blocks.
  std::vector<ValidationResult> drain();

 private:
  void collect();

  Tracer& training_;
  Tracer own_tracer_;
  Tracer& beside_;                            ///< The thread's.
  std::optional<ValidationResult> finished_;  ///< Written by the thread, read when it is idle.
  std::vector<ValidationResult> ready_;
  BackgroundThread thread_;  ///< Last: it ends before what it works with.
};

}  // namespace valbench
