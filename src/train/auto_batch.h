/// \file
/// What training steps take of a GPU's memory, and --batch-size -1, whose batch is found by measuring them.
#pragma once
#include <c10/core/Device.h>

#include <optional>

#include "scenario/run_spec.h"

namespace valbench {

/// Takes the place of a negative spec.batch_size: runs steps of growing batches with the spec's model, image size, optimizer and precision on
/// rank 0's GPU, chooses by choose_batch(), and says so in spec.notices. Leaves other specs alone. Frees what it used.
void settle_batch_size(RunSpec& spec);

/// MiB that steps of the spec's batch on one rank take on a GPU, with a model, gradients and optimizer of their own;
/// nothing where it did not suffice.
std::optional<double> measure_training(RunSpec spec, int classes, c10::Device device);

}  // namespace valbench
