#include "launch/sweep_eta.h"

#include "launch/launcher.h"
#include "launch/run_guess.h"
#include "tests/support/catch.h"

using namespace valbench;

TEST_CASE("nothing is estimated before anything is known") {
  const SweepEta eta;
  CHECK(eta.estimate_s({"a", "b"}) < 0);
  CHECK(eta.left_s("a", 1, 0.01, {"b"}) < 0);
}

TEST_CASE("the first run's own pace stands for all runs") {
  const SweepEta eta;
  CHECK(eta.left_s("a", 10, 0.25, {}) == Approx(30));
  CHECK(eta.left_s("a", 10, 0.25, {"b", "c"}) == Approx(30 + 2 * 40));
}

TEST_CASE("a strategy takes as long as its earlier runs, an unknown one as the mean of all") {
  SweepEta eta;
  eta.finished("fast", 10);
  eta.finished("fast", 14);
  eta.finished("slow", 36);
  CHECK(eta.estimate_s({"fast"}) == Approx(12));
  CHECK(eta.estimate_s({"fast", "slow", "new"}) == Approx(12 + 36 + 20));
  CHECK(eta.left_s("slow", 6, 0.2, {"fast"}) == Approx(30 + 12));
  CHECK(eta.left_s("fast", 100, 0.9, {}) == 0);
}

TEST_CASE("a rank's progress line is taken apart, and anything else is not") {
  const auto progress = parse_rank_progress("epoch 1 batch 3 4 validate", 2);
  REQUIRE(progress);
  CHECK(progress->epoch == 1);
  CHECK(progress->phase == "validate");
  CHECK(progress->fraction() == Approx((1 + 0.6 + 0.4 * 0.75) / 2));
  CHECK(parse_rank_progress("epoch 0 batch 2 4 train", 2)->fraction() == Approx(0.6 * 0.5 / 2));
  CHECK(parse_rank_progress("epoch 9 batch 0 0 train", 2)->fraction() == 1);
  for (const char* line : {"", "epoch 1", "epoch x batch 1 2 train", "step 1 batch 1 2 train", "epoch 1 batch 1 2"})
    CHECK_FALSE(parse_rank_progress(line, 2));
}

TEST_CASE("the guess before the first run grows with work and shrinks with ranks that share it") {
  RunSpec spec;
  spec.imgsz = 96, spec.ranks = 2, spec.epochs = 3;
  const ImageCounts images{128, 256};
  const double rank0 = guess_run_s(spec, images);
  CHECK(rank0 > 3);
  CHECK(rank0 < 30);  // The run that the speeds were taken from took 8 s on 2 cores.
  spec.validation.placement = Placement::sharded;
  const double sharded = guess_run_s(spec, images);
  CHECK(sharded < rank0);
  spec.validation.placement = Placement::none;
  CHECK(guess_run_s(spec, images) < sharded);
  spec.validation.placement = Placement::dedicated;
  spec.ranks = 4;
  const double one_of_four = guess_run_s(spec, images);
  spec.validation.dedicated_ranks = 3;
  CHECK(guess_run_s(spec, images) > one_of_four);  // One rank trains in place of three.
  spec.ranks = 2;
  spec.validation.placement = Placement::rank0;
  spec.validation.interval = 2;
  CHECK(guess_run_s(spec, images) < rank0);
  spec.validation.interval = 1;
  spec.validation.subset_count = 1000;
  CHECK(guess_run_s(spec, images) == Approx(rank0));
  spec.validation.subset_count = 10;
  CHECK(guess_run_s(spec, images) < rank0);
  spec.model = "yolov5x";
  CHECK(guess_run_s(spec, images) > 5 * rank0);
}
