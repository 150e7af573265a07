/// \file
/// Two optimizer steps of three accumulated micro-batches each on one of several ranks, and the same in one process.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>

#include "comm/communicator.h"

namespace valbench::test {

/// Flat state after training: parameters, then running statistics and anchors.
struct TrainedState {
  at::Tensor parameters, buffers, initial;
  double gradient_norm = 0;  ///< Of the last optimizer step, before clipping.
};

/// Trains as rank `communicator.rank()`, with our own buckets. Every rank starts from rank 0's weights.
TrainedState train_ranks(Communicator& communicator, bool reduce_every_micro_batch);

/// The same with torch's own DDP reducer instead of our buckets, over a process group of its own.
TrainedState train_with_ddp_reducer(const Rendezvous& rendezvous);

/// One process runs every rank's sub-batches in turn, each with its own batch statistics, and adds their gradients. Running statistics are
/// rank 0's.
TrainedState train_alone(int ranks);

}  // namespace valbench::test
