/// \file
/// How a rank process starts: threads, communicator, progress.
#pragma once
#include <c10/core/Device.h>

#include <exception>
#include <memory>
#include <string>

#include "comm/communicator.h"
#include "train/trainer.h"

namespace valbench {

/// Holds LibTorch to `threads` intra-op threads; another count would change the bits of reductions.
void start_threads(int threads);

/// Where this rank computes. Throws InputError when it has no such GPU.
c10::Device device_of(const Rendezvous& rendezvous, const RunSpec& spec);

/// The communicator for spec.ranks ranks. Throws InputError when the launcher started another number of ranks.
std::unique_ptr<Communicator> connect(const Rendezvous& rendezvous, const RunSpec& spec);

/// Lines `epoch E batch B BATCHES phase` into the pipe that the controller handed down, or to standard output every so often.
ProgressSink progress_to_controller();

/// One sentence for an exception from LibTorch: out of memory says which batch sizes were tried and the fix, c10 back-traces are cut.
std::string explain(const std::exception& error, const RunSpec& spec);

/// Versions of LibTorch, CUDA and NCCL, the GPUs seen, and why GPUs or their tracing cannot be used (empty when they can), as one line of
/// JSON.
std::string versions_json();

}  // namespace valbench
