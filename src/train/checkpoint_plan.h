/// \file
/// Which checkpoint files an epoch leaves (reference yolov5.md §4.10).
#pragma once
#include "scenario/run_spec.h"

namespace valbench {

struct CheckpointPlan {
  bool last = false;      ///< last
  bool best = false;      ///< best
  bool numbered = false;  ///< epoch{N}
};

/// \param final_epoch this epoch may be the last: the last of the schedule, or early stopping may end the run with it.
/// \param is_best its fitness is the best so far.
CheckpointPlan plan_checkpoints(const RunSpec& spec, int epoch, bool final_epoch, bool is_best);

}  // namespace valbench
