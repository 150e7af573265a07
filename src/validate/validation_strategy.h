/// \file
/// The seam between training and validation: where and how a snapshot is scored.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "record/run_record.h"

namespace valbench {

/// The EMA weights to score. `state` is the flat float32 state in ParameterStore order on the training device, held by rank 0 only and
/// undefined elsewhere. It is the live EMA: a strategy that returns before it has scored must copy it.
struct ModelSnapshot {
  int epoch = 0;
  at::Tensor state;
  std::string checksum;  ///< Of `state`, rank 0 only.
  bool required = false;  ///< The final weights: they are scored, however long that takes.
};

/// A finished validation. Only rank 0 ever holds results.
struct ValidationResult {
  ValidationRecord record;
  /// Why the snapshot was given up without being scored; `record` holds its epoch then and nothing else. Empty: it was scored.
  std::string skipped = {};
  /// The flat float32 state that was scored. A strategy whose results come later than the epoch they belong to keeps it until then, for it
  /// may be the best checkpoint. Empty when submit() itself scored: the live EMA still holds these weights.
  std::function<at::Tensor()> weights = {};
};

/// Where and how validation runs. Every rank holds one and calls it at the same points in the same order, so an implementation may use
/// collectives. submit() may block (rank0, sharded) or return at once; then the result comes from a later take_ready(), in any order, or
/// from drain(). Every snapshot that was submitted comes back as a result, once.
class ValidationStrategy {
 public:
  virtual ~ValidationStrategy() = default;
  virtual bool validates() const { return true; }  ///< False: nothing is ever scored, and nothing is submitted.
  virtual void submit(ModelSnapshot snapshot) = 0;
  virtual std::vector<ValidationResult> take_ready() = 0;  ///< Never blocks. A result names the epoch it belongs to.
  virtual std::vector<ValidationResult> drain() = 0;       ///< Blocks until nothing is in flight.
  virtual void close() {}                                  ///< Nothing is submitted any more; nothing is in flight.
};

}  // namespace valbench
