/// \file
/// Axis `score: background`: what follows the network, beside training.
#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "trace/tracer.h"
#include "validate/background_thread.h"
#include "validate/validation_strategy.h"

namespace valbench {

/// Finishes one validation at a time on a thread of its own. Where the next one comes before the last is finished, training waits.
class ScoringThread {
 public:
  using Job = std::function<ValidationResult(Tracer&)>;

  /// \param training the tracer of the thread that trains; it outlives this.
  ScoringThread(Tracer& training, c10::Device device);

  /// Runs `job` there, with that thread's tracer. What it threw comes out of the next call.
  void start(int epoch, Job job);
  std::vector<ValidationResult> take_ready();  ///< Never blocks.
  std::vector<ValidationResult> drain();

 private:
  void wait(std::int64_t number);
  void collect();

  Tracer& training_;
  Tracer own_tracer_;
  Tracer& beside_;                            ///< The thread's.
  std::optional<ValidationResult> finished_;  ///< Written by the thread, read when it is idle.
  std::vector<ValidationResult> ready_;
  BackgroundThread thread_;  ///< Last: it ends before what it works with.
};

}  // namespace valbench
