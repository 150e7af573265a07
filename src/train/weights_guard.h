/// \file
/// Does validating leave the weights as they were?
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "scenario/run_spec.h"
#include "trace/tracer.h"
#include "train/train_step.h"

namespace valbench {

/// Lives around a validation, on every rank. Hashes what the rank holds before and after: the trained model's whole state (running
/// statistics included), and the EMA on rank 0. The other ranks hash as many bytes, so that nobody waits for rank 0 because of it.
class WeightsGuard {
 public:
  /// Does nothing with `verify: none`.
  WeightsGuard(const TrainStep& step, const RunSpec& spec, Tracer& tracer, std::int64_t& off_clock_ns);

  /// What has changed since, one sentence each; nothing for the EMA where ema: in_place asks for its rounding.
  std::vector<std::string> changes(int rank, int epoch);

 private:
  struct Hashes {
    std::string model, ema;
  };
  Hashes take();

  const TrainStep& step_;
  const RunSpec& spec_;
  Tracer& tracer_;
  std::int64_t& off_clock_ns_;
  Hashes before_;
};

}  // namespace valbench
