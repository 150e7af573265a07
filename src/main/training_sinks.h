/// \file
/// What rank 0 of a single training (`valbench train`) tells while it runs: lines for the console, and results.csv.
#pragma once
#include "train/trainer.h"

namespace valbench {

struct TrainingSinks {
  EpochSink epoch;
  BatchSink batch;
};

/// Lines go into the pipe that the controller handed down. Reading the losses waits for the device, so a line of a batch
/// is written a few times a second at most. results.csv lies in the run folder.
TrainingSinks training_sinks(const RunSpec& spec);

}  // namespace valbench
