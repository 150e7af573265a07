#include "train/checkpoint_plan.h"

namespace valbench {

CheckpointPlan plan_checkpoints(const RunSpec& spec, int epoch, bool final_epoch, bool is_best) {
  if (!spec.save_checkpoints || (spec.nosave && !final_epoch)) return {};
  // Epoch 0 is a multiple of every period.
  return {.last = true, .best = is_best, .numbered = spec.save_period > 0 && epoch % spec.save_period == 0};
}

}  // namespace valbench
