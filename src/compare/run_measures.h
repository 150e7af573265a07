/// \file
/// The numbers of one run by the definitions of design §6 and profiling.md §1.4.
#pragma once
#include <string>

#include "record/run_record.h"

namespace valbench {

/// Each value of an epoch is the slowest rank's. "Later epochs" are those after the first; all when there is only one.
struct RunMeasures {
  Measured job_s;
  Measured epoch_s, train_s;  ///< Median over the later epochs.
  Measured val_s;  ///< The same; the mean where epochs were not validated, so that each of those weighs in with 0.
  Measured val_share;      ///< Rank 0's validation / (training + validation) over all epochs.
  Measured val_share_max;  ///< The largest such share of any rank.
  Measured idle_gpu_s;     ///< Rank-seconds of waiting for a validating rank, all ranks and epochs.
  Measured comm_wait_s;    ///< Rank-seconds in gradient collectives before the last rank arrived, all ranks and epochs.
  Measured balance_gain;   ///< 1 - (train + val / ranks) / (train + val) of rank 0: the most that sharding could save.
                           ///< An upper bound.
  Measured steps, optimizer_steps;  ///< Of rank 0, over the run.
  Measured train_images;            ///< Over all ranks and epochs.
  Measured val_images;              ///< The same.
  Measured validations;             ///< How often the model was validated.
  Measured peak_memory_mib;         ///< Largest of any rank.
  Measured map50, map50_95;         ///< Of the last validation, as the strategy itself computed it.
  Measured map50_95_delta;          ///< The strategy's minus full-set fp32 rank 0's, same snapshot.
  Measured map50_95_se, map50_95_bias;  ///< Of a subset: how far its map50_95 moves with the choice of images, and is off on average.
};

RunMeasures measure_run(const RunRecord& run);

/// Why no time of the run counts as measured: it has more ranks than there are cores, and is there for its numbers alone. Empty otherwise.
std::string reason_without_times(const RunRecord& run);

/// Calls visit(pointer to member, name) for every measure, in the order above.
template <class Visit>
void visit_measures(Visit&& visit) {
  visit(&RunMeasures::job_s, "job_s");
  visit(&RunMeasures::epoch_s, "epoch_s");
  visit(&RunMeasures::train_s, "train_s");
  visit(&RunMeasures::val_s, "val_s");
  visit(&RunMeasures::val_share, "val_share");
  visit(&RunMeasures::val_share_max, "val_share_max");
  visit(&RunMeasures::idle_gpu_s, "idle_gpu_s");
  visit(&RunMeasures::comm_wait_s, "comm_wait_s");
  visit(&RunMeasures::balance_gain, "balance_gain");
  visit(&RunMeasures::steps, "steps");
  visit(&RunMeasures::optimizer_steps, "optimizer_steps");
  visit(&RunMeasures::train_images, "train_images");
  visit(&RunMeasures::val_images, "val_images");
  visit(&RunMeasures::validations, "validations");
  visit(&RunMeasures::peak_memory_mib, "peak_memory_mib");
  visit(&RunMeasures::map50, "map50");
  visit(&RunMeasures::map50_95, "map50_95");
  visit(&RunMeasures::map50_95_delta, "map50_95_delta");
  visit(&RunMeasures::map50_95_se, "map50_95_se");
  visit(&RunMeasures::map50_95_bias, "map50_95_bias");
}

/// Why the run cannot be compared at all: its own reasons, not exact, a non-finite loss, timing that is not comparable.
/// Empty when it can.
std::vector<std::string> invalid_reasons(const RunRecord& run);

}  // namespace valbench
