/// \file
/// Everything one rank does for one RunSpec, from reading the data to writing run.json.
#pragma once
#include <optional>

#include "comm/communicator.h"
#include "scenario/run_spec.h"
#include "scenario/val_spec.h"
#include "train/run_instruments.h"
#include "train/trainer.h"

namespace valbench {

/// Runs the spec on this rank, on `device`. Rank 0 assembles all ranks' measurements and writes run.json by rename, once all of them have
/// trained; then it strips the checkpoints, and the closing validation may add warnings to the record. It tells
/// `on_epoch` of every epoch and `on_batch` of every batch.
/// \param closing of a single training: the validation at its end, and whether pictures are drawn. Neither is in any time of the record.
void run_rank_job(const RunSpec& spec, Communicator& communicator, c10::Device device, const ProgressSink& progress,
                  RunInstruments& instruments, const EpochSink& on_epoch = {}, const BatchSink& on_batch = {},
                  const std::optional<ValSpec>& closing = {});

}  // namespace valbench
