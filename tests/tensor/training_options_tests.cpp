// Options of the training loop that need no data set: early stopping, which checkpoints an epoch leaves.
#include "tests/support/catch.h"
#include "train/checkpoint_plan.h"
#include "train/early_stopping.h"

using namespace valbench;

TEST_CASE("in v7.0 a tie counts as an improvement, in HEAD it does not") {
  EarlyStopping v7(2, Compat::v7_0), head(2, Compat::head);
  CHECK_FALSE(v7.update(0, 0.0));
  CHECK_FALSE(head.update(0, 0.0));  // Better than -1.
  CHECK(head.best_epoch() == 0);
  CHECK_FALSE(v7.update(1, 0.0));
  CHECK_FALSE(head.update(1, 0.0));
  CHECK_FALSE(v7.possible_stop());
  CHECK(head.possible_stop());
  CHECK_FALSE(v7.update(2, 0.0));
  CHECK(v7.best_epoch() == 2);
  CHECK(head.update(2, 0.0));
}

TEST_CASE("every epoch leaves last, the best so far best, and every save_period-th its own file") {
  RunSpec spec;
  spec.save_period = 3;
  for (int epoch = 0; epoch < 7; ++epoch) {
    const CheckpointPlan plan = plan_checkpoints(spec, epoch, epoch == 6, epoch == 2);
    CHECK(plan.last);
    CHECK(plan.best == (epoch == 2));
    CHECK(plan.numbered == (epoch == 0 || epoch == 3 || epoch == 6));
  }
  spec.save_period = -1;
  CHECK_FALSE(plan_checkpoints(spec, 0, false, false).numbered);
}

TEST_CASE("with nosave only the final epoch leaves checkpoints, and none without save_checkpoints") {
  RunSpec spec;
  spec.nosave = true;
  CHECK_FALSE(plan_checkpoints(spec, 1, false, true).last);
  CHECK_FALSE(plan_checkpoints(spec, 1, false, true).best);
  CHECK(plan_checkpoints(spec, 1, true, true).last);
  CHECK(plan_checkpoints(spec, 1, true, true).best);
  spec.save_checkpoints = false;
  CHECK_FALSE(plan_checkpoints(spec, 1, true, true).last);
}
