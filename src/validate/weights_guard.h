/// \file
/// Does validating leave the weights as they were?
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "scenario/run_spec.h"
#include "trace/tracer.h"

namespace valbench {

/// Weights that a rank holds while it validates.
struct GuardedWeights {
  std::string what;  ///< `the trained model`
  at::Tensor state;
  bool may_change = false;  ///< Hashed all the same, so that it takes every rank as long.
};

/// Lives around a validation, on every rank. Hashes what the rank holds before and after.
class WeightsGuard {
 public:
  /// Does nothing with `verify: none`. \param off_clock_ns grows by the time that hashing takes.
  WeightsGuard(std::vector<GuardedWeights> weights, VerifyMode mode, Tracer& tracer, std::int64_t& off_clock_ns);

  /// What has changed since, one sentence each.
  std::vector<std::string> changes(int rank, int epoch);

 private:
  std::vector<std::string> hashes();

  std::vector<GuardedWeights> weights_;
  VerifyMode mode_;
  Tracer& tracer_;
  std::int64_t& off_clock_ns_;
  std::vector<std::string> before_;
};

}  // namespace valbench
