/// \file
/// Everything one rank does for one ValSpec, from reading the weights to metrics.json.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>

#include "comm/communicator.h"
#include "scenario/val_spec.h"

namespace valbench {

/// Runs the validation on this rank. Rank 0 writes metrics.json last, by rename.
void run_val_job(const ValSpec& spec, Communicator& communicator, c10::Device device,
                 std::function<void(std::int64_t batch, std::int64_t batches)> progress);

}  // namespace valbench
