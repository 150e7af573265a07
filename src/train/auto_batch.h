/// \file
/// --batch-size -1 on a GPU: the batch is found by measuring training steps.
#pragma once
#include "scenario/run_spec.h"

namespace valbench {

/// Takes the place of a negative spec.batch_size: runs steps of growing batches with the spec's model, image size, optimizer and precision on
/// rank 0's GPU, chooses by choose_batch(), and says so in spec.notices. Leaves other specs alone. Frees what it used.
void settle_batch_size(RunSpec& spec);

}  // namespace valbench
