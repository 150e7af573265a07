/// \file
/// The seam between training and validation: where and how a snapshot is scored.
#pragma once
#include <ATen/core/Tensor.h>

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
};

/// A finished validation. Only rank 0 ever holds results.
using ValidationResult = ValidationRecord;

/// Where and how validation runs. Every rank holds one and calls it at the same points in the same order, so an implementation may use
/// collectives. submit() may block (rank0, sharded) or return at once.
class ValidationStrategy {
 public:
  virtual ~ValidationStrategy() = default;
  virtual void submit(ModelSnapshot snapshot) = 0;
  virtual std::vector<ValidationResult> take_ready() = 0;  ///< Never blocks. A result names the epoch it belongs to.
  virtual std::vector<ValidationResult> drain() = 0;       ///< Blocks until nothing is in flight.
};

}  // namespace valbench
