/// \file
/// The part of a rank that only validates.
#pragma once
#include <ATen/core/Tensor.h>

#include "comm/communicator.h"
#include "scenario/run_spec.h"
#include "trace/tracer.h"
#include "train/trainer.h"

namespace valbench {

/// Gives every rank the weights and anchors that training begins with. A collective of all ranks, in place; on ranks that train it changes
/// nothing.
void share_initial_state(Communicator& world, const at::Tensor& state);

/// Builds what validating needs and serves until the training is over. Meets the ranks that train in share_initial_state(), in the groups
/// of the strategy and in one barrier before the first epoch.
RankResult run_validator(const RunSpec& spec, Communicator& world, Tracer& tracer, c10::Device device);

}  // namespace valbench
