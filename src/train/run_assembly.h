/// \file
/// From what every rank measured to one run record.
#pragma once
#include <vector>

#include "comm/communicator.h"
#include "record/run_record.h"
#include "record/gpu_summary.h"
#include "train/trainer.h"

namespace valbench {

/// Adds what this rank traced. A collective: waiting and moving data are told apart by all ranks' kernels together.
void add_trace(Communicator& communicator, const TracedWindow& window, RankResult& result);

/// Every rank's result on rank 0 (index = rank), empty elsewhere. A collective.
std::vector<RankResult> gather_results(Communicator& communicator, const RankResult& mine);

/// Fills epochs, waits, validations, checksums, job_s and the reasons that make the run invalid or its times not comparable.
void assemble_record(const std::vector<RankResult>& ranks, RunRecord& record);

}  // namespace valbench
