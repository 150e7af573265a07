#include <limits>

#include "base/error.h"
#include "compare/comparison.h"
#include "tests/support/catch.h"
#include "tests/unit/sweep_records.h"

using namespace valbench;
using test::made_up_sweep;

namespace {

const StrategySummary& row(const SweepComparison& sweep, const std::string& name) {
  for (const StrategySummary& s : sweep.strategies) {
    if (s.strategy == name) return s;
  }
  throw Error("no strategy " + name);
}

std::vector<RunRecord> pair_of_strategies() {
  return made_up_sweep({{.name = "rank0"}, {.name = "other", .val_s = 4}}, 6);
}

/// The verdict and reasons of `other` after `change` was applied to its run of round 2.
StrategySummary after(void (*change)(RunRecord&)) {
  std::vector<RunRecord> runs = pair_of_strategies();
  for (RunRecord& run : runs) {
    if (run.spec.validation.name == "other" && run.spec.round == 2) change(run);
  }
  return row(compare_sweep(runs, "rank0", 0.01), "other");
}

std::string reasons_of(const StrategySummary& s) {
  std::string all;
  for (const std::string& reason : s.reasons) all += reason + "\n";
  return all;
}

}  // namespace

TEST_CASE("one strategy under two names is the same, and gives the noise floor") {
  const auto sweep = compare_sweep(made_up_sweep({{.name = "rank0"}, {.name = "again"}}, 6), "rank0", 0);
  CHECK(row(sweep, "again").verdict == Verdict::same);
  CHECK(row(sweep, "again").same_as_baseline);
  CHECK(sweep.noise_floor_strategy == "again");
  CHECK(sweep.noise_floor.value.value() > 0);
  CHECK(sweep.noise_floor.value.value() < 0.01);
  CHECK(sweep.margin == 0.01);
}

TEST_CASE("where two names of one strategy differ, smaller differences get no verdict, and larger ones keep theirs") {
  std::vector<RunRecord> runs =
      made_up_sweep({{.name = "rank0"}, {.name = "again"}, {.name = "a little", .val_s = 4.7}, {.name = "much", .val_s = 1}}, 6);
  CHECK(row(compare_sweep(runs, "rank0", 0.01), "a little").verdict == Verdict::faster);
  for (RunRecord& run : runs) {
    if (run.spec.validation.name == "again") run.job_s *= 0.95;
  }
  const SweepComparison sweep = compare_sweep(runs, "rank0", 0.01);
  CHECK(row(sweep, "again").verdict == Verdict::ambiguous);
  CHECK_THAT(reasons_of(row(sweep, "again")), Catch::Contains("equal strategies differ by 5.") && Catch::Contains(" % in these rounds"));
  CHECK(row(sweep, "a little").verdict == Verdict::ambiguous);
  CHECK(row(sweep, "much").verdict == Verdict::faster);
  CHECK_THAT(sweep.notes.at(0), Catch::Contains("again is rank0 under another name"));
  // Two alone are a comparison, not its noise.
  std::vector<RunRecord> two;
  for (const RunRecord& run : runs) {
    if (run.spec.validation.name == "rank0" || run.spec.validation.name == "again") two.push_back(run);
  }
  CHECK(row(compare_sweep(two, "rank0", 0.01), "again").verdict == Verdict::faster);
}

TEST_CASE("exactly equal times are never faster or slower") {
  std::vector<RunRecord> runs;
  for (int round = 0; round < 6; ++round) {
    runs.push_back(test::made_up_run({.name = "a"}, round, 1));
    runs.push_back(test::made_up_run({.name = "b"}, round, 1));
  }
  CHECK(row(compare_sweep(runs, "a", 0.01), "b").verdict == Verdict::same);
}

TEST_CASE("a five percent effect is found in both directions") {
  const auto sweep = compare_sweep(
      made_up_sweep({{.name = "rank0"}, {.name = "fast", .val_s = 4.5}, {.name = "slow", .val_s = 5.5}}, 6), "rank0",
      0.01);
  CHECK(row(sweep, "fast").verdict == Verdict::faster);
  CHECK(*row(sweep, "fast").speedup.value == Approx(10 / 9.5).epsilon(0.005));
  CHECK(*row(sweep, "fast").speedup_low.value < *row(sweep, "fast").speedup.value);
  CHECK(row(sweep, "slow").verdict == Verdict::slower);
  CHECK_FALSE(row(sweep, "rank0").verdict);
  CHECK_FALSE(sweep.noise_floor.value);
}

TEST_CASE("the verdict follows interval, estimate and margin") {
  const auto with = [](double low, double ratio, double high) {
    return PairedComparison{.pairs = 6, .ratio = ratio, .low = low, .high = high};
  };
  CHECK(judge(with(0.995, 1.0, 1.005), 0.01) == Verdict::same);
  CHECK(judge(with(1.001, 1.005, 1.009), 0.01) == Verdict::same);
  CHECK(judge(with(1.001, 1.009, 1.017), 0.01) == Verdict::ambiguous);
  CHECK(judge(with(0.98, 1.05, 1.12), 0.01) == Verdict::ambiguous);
  CHECK(judge(with(1.02, 1.05, 1.08), 0.01) == Verdict::faster);
  CHECK(judge(with(0.92, 0.95, 0.98), 0.01) == Verdict::slower);
  CHECK(judge(with(1.02, 1.05, 1.08), 0.06) == Verdict::ambiguous);
  CHECK(exit_code(Verdict::same) == 0);
  CHECK(exit_code(Verdict::slower) == 1);
  CHECK(exit_code(Verdict::ambiguous) == 3);
  CHECK(exit_code(Verdict::invalid) == 4);
}

TEST_CASE("one round decides nothing") {
  const auto s =
      row(compare_sweep(made_up_sweep({{.name = "rank0"}, {.name = "other", .val_s = 4}}, 1), "rank0", 0.01), "other");
  CHECK(s.verdict == Verdict::ambiguous);
  CHECK(reasons_of(s) == "one round\n");
  CHECK_FALSE(s.speedup_low.value);
}

TEST_CASE("one round of a strategy under two names gives no noise floor, and says why") {
  const auto sweep = compare_sweep(made_up_sweep({{.name = "rank0"}, {.name = "again"}}, 1), "rank0", 0.01);
  CHECK_FALSE(sweep.noise_floor.value);
  CHECK(sweep.noise_floor.reason == "one round");
}

TEST_CASE("whatever makes a run unfit makes the comparison invalid, with the reason and the numbers") {
  CHECK(after([](RunRecord&) {}).verdict == Verdict::faster);
  struct Case {
    void (*change)(RunRecord&);
    const char* reason;
  };
  const Case cases[] = {
      {[](RunRecord& r) { r.invalid_reasons = {"NMS hit its time limit"}; }, "NMS hit its time limit (1 of 6 runs)"},
      {[](RunRecord& r) { r.exactness = {.exact = "false", .first_difference = "map50: 1 != 2"}; },
       "not exact: map50: 1 != 2"},
      {[](RunRecord& r) { r.timing_comparable = false, r.timing_note = "shared GPU"; },
       "timing not comparable: shared GPU"},
      {[](RunRecord& r) { r.epochs[1].train_images += 1; }, "unequal training images between rounds: 384 to 385"},
      {[](RunRecord& r) { r.epochs[0].optimizer_steps += 1; }, "unequal optimizer steps between rounds"},
      {[](RunRecord& r) { r.epochs[0].val_images -= 1; }, "unequal validation images between rounds"},
      {[](RunRecord& r) { r.validations[1].batch_size = 64; }, "unequal validation batches between rounds: 0 to 64"},
      {[](RunRecord& r) { r.validations.pop_back(); }, "unequal numbers of validations between rounds"},
      {[](RunRecord& r) { r.epochs[0].loss_box = std::numeric_limits<double>::quiet_NaN(); }, "a loss is not finite"},
      {[](RunRecord& r) { r.validations[0].loss[0] = std::numeric_limits<double>::infinity(); },
       "a loss is not finite"},
  };
  for (const Case& c : cases) {
    const StrategySummary s = after(c.change);
    CHECK(s.verdict == Verdict::invalid);
    CHECK_THAT(reasons_of(s), Catch::Contains(c.reason));
    CHECK(s.speedup.value);
  }
}

TEST_CASE("strategies that train differently, or against an unfit baseline, are invalid") {
  std::vector<RunRecord> runs = pair_of_strategies();
  for (RunRecord& run : runs) {
    if (run.spec.validation.name == "other") run.epochs[0].train_images = 60;
  }
  CHECK_THAT(reasons_of(row(compare_sweep(runs, "rank0", 0.01), "other")),
             Catch::Contains("training images differs: 380, baseline 384"));
  runs = pair_of_strategies();
  for (RunRecord& run : runs) {
    if (run.spec.validation.name == "other") run.spec.freeze = {0, 1}, run.spec.hyp.mosaic = 0.5;
  }
  CHECK_THAT(reasons_of(row(compare_sweep(runs, "rank0", 0.01), "other")),
             Catch::Contains("freeze differs: [0, 1], baseline []") && Catch::Contains("hyp mosaic differs: 0.5, baseline 1"));
  runs = pair_of_strategies();
  for (RunRecord& run : runs) {
    if (run.spec.validation.name == "rank0") run.invalid_reasons = {"broken"};
  }
  const auto sweep = compare_sweep(runs, "rank0", 0.01);
  CHECK(row(sweep, "rank0").verdict == Verdict::invalid);
  CHECK(reasons_of(row(sweep, "other")) == "baseline: broken\n");
}

TEST_CASE("traced and failed runs are counted and enter no number") {
  std::vector<RunRecord> runs = pair_of_strategies();
  const auto before = compare_sweep(runs, "rank0", 0.01);
  RunRecord traced = test::made_up_run({.name = "other"}, 0, 100);
  traced.spec.profile = true;
  RunRecord failed = test::made_up_run({.name = "other"}, 7, 100);
  failed.status = "failed";
  failed.failure = "rank 1 exited";
  runs.push_back(traced);
  runs.push_back(failed);
  const auto sweep = compare_sweep(runs, "rank0", 0.01);
  CHECK(sweep.traced_runs == 1);
  CHECK(row(sweep, "other").failed_runs == 1);
  CHECK(row(sweep, "other").mean.job_s.value == row(before, "other").mean.job_s.value);
  CHECK(row(sweep, "other").verdict == Verdict::faster);
}

TEST_CASE("a strategy summary holds the definitions of the design") {
  const auto sweep =
      compare_sweep({test::made_up_run({.name = "rank0", .train_s = 6, .val_s = 2}, 0, 1),
                     test::made_up_run({.name = "every 2nd", .train_s = 6, .val_s = 2, .interval = 2}, 0, 1)},
                    "rank0", 0.01);
  const RunMeasures& m = row(sweep, "rank0").mean;
  CHECK(*m.job_s.value == 24);
  CHECK(*m.epoch_s.value == 8);
  CHECK(*m.train_s.value == 6);
  CHECK(*m.val_s.value == 2);
  CHECK(*m.val_share.value == 0.25);
  CHECK(*m.balance_gain.value == 0.125);
  CHECK(*m.idle_gpu_s.value == 6);
  CHECK(*m.comm_wait_s.value == 1.5);
  CHECK(*m.train_images.value == 384);
  CHECK(*m.val_images.value == 768);
  CHECK(*row(sweep, "every 2nd").mean.validations.value == 2);
}

TEST_CASE("epochs without a validation weigh in with 0, whatever left them out") {
  RunRecord run = test::made_up_run({.name = "from epoch 2", .train_s = 6, .val_s = 2}, 0, 1);
  run.validations.erase(run.validations.begin(), run.validations.begin() + 2);
  for (EpochRecord& epoch : run.epochs) {
    if (epoch.epoch < 2) epoch.val_s = 0;
  }
  CHECK(*row(compare_sweep({run}, "from epoch 2", 0.01), "from epoch 2").mean.val_s.value == 1);
}

TEST_CASE("what was not measured stays empty, with the reason") {
  std::vector<RunRecord> runs = made_up_sweep({{.name = "rank0"}, {.name = "none", .placement = Placement::none}}, 2);
  runs[0].epochs[0].comm_wait_s = Measured::not_measured("needs a traced run");
  const auto sweep = compare_sweep(runs, "rank0", 0.01);
  CHECK_FALSE(row(sweep, "rank0").mean.comm_wait_s.value);
  CHECK(row(sweep, "rank0").mean.comm_wait_s.reason == "needs a traced run");
  CHECK_FALSE(row(sweep, "none").mean.val_s.value);
  CHECK(row(sweep, "none").mean.map50.reason == "validates nothing");
}

TEST_CASE("a baseline without runs and two runs of one round are refused") {
  CHECK_THROWS_WITH(compare_sweep(pair_of_strategies(), "absent", 0.01),
                    Catch::Contains("absent") && Catch::Contains("rank0, other"));
  std::vector<RunRecord> runs = pair_of_strategies();
  runs.push_back(runs.back());
  CHECK_THROWS_AS(compare_sweep(runs, "rank0", 0.01), InputError);
}

TEST_CASE("two folders are compared under two names") {
  std::vector<RunRecord> a, b;
  for (int round = 0; round < 4; ++round) {
    a.push_back(test::made_up_run({.name = "rank0"}, round, 1 + 0.001 * round));
    b.push_back(test::made_up_run({.name = "rank0", .val_s = 4}, round, 1));
  }
  const auto sweep = compare_records(a, "rank0", b, "rank0", 0.01);
  REQUIRE(sweep.strategies.size() == 2);
  CHECK(sweep.strategies[1].strategy == "rank0 (2)");
  CHECK(sweep.strategies[1].verdict == Verdict::faster);
}

namespace {

/// A sweep over 3 ranks of 64 images, where `dedicated` has rank 2 only validate: 66 images an epoch against 64.
std::vector<RunRecord> sweep_with_validators() {
  std::vector<RunRecord> runs = made_up_sweep({{.name = "rank0"}, {.name = "dedicated", .placement = Placement::dedicated}}, 2);
  for (RunRecord& run : runs) {
    run.spec.ranks = 3;
    const bool dedicated = run.spec.validation.placement == Placement::dedicated;
    for (EpochRecord& row : run.epochs) row.train_images = dedicated ? 32 : 22;
    for (int epoch = 0; epoch < run.spec.epochs; ++epoch) {
      EpochRecord third{.rank = 2, .epoch = epoch, .epoch_s = 100, .train_s = 5, .val_s = 40, .wait_s = 60};
      third.comm_wait_s = third.comm_transfer_s = Measured::not_measured("not measured (this rank only validates)");
      if (!dedicated) {
        third = run.epochs[1];
        third.rank = 2, third.epoch = epoch;
      }
      if (dedicated) third.train_s = 0;
      run.epochs.push_back(third);
    }
  }
  return runs;
}

}  // namespace

TEST_CASE("ranks that only validate count for validation and waiting, not for training, epochs and gradients") {
  const auto sweep = compare_sweep(sweep_with_validators(), "rank0", 0.01);
  const RunMeasures& m = row(sweep, "dedicated").mean;
  CHECK(*m.epoch_s.value < 20);
  CHECK(*m.val_s.value == 40);
  CHECK(*m.val_share_max.value < 1);
  CHECK(*m.comm_wait_s.value == 1.5);
  CHECK(*m.idle_gpu_s.value > 180);
  CHECK(*m.train_images.value == 192);
}

TEST_CASE("fewer ranks that train repeat fewer images to even out their shares: that is equal work, another set is not") {
  std::vector<RunRecord> runs = sweep_with_validators();
  CHECK_THAT(reasons_of(row(compare_sweep(runs, "rank0", 0.01), "dedicated")), !Catch::Contains("training images"));
  for (RunRecord& run : runs) {
    if (run.spec.validation.placement != Placement::dedicated) continue;
    for (EpochRecord& epoch : run.epochs) epoch.train_images = epoch.rank < 2 ? 34 : 0;  // 67 or 68 images, against 64 to 66.
  }
  CHECK_THAT(reasons_of(row(compare_sweep(runs, "rank0", 0.01), "dedicated")),
             Catch::Contains("training images differs: 204, baseline 198"));
}

TEST_CASE("where validations were skipped their number may differ between rounds; otherwise it may not") {
  std::vector<RunRecord> runs = sweep_with_validators();
  runs.back().validations.erase(runs.back().validations.begin());
  const std::string strategy = runs.back().spec.validation.name;
  CHECK_THAT(reasons_of(row(compare_sweep(runs, "rank0", 0.01), strategy)), Catch::Contains("numbers of validations"));
  runs.back().skipped_validations = {{.epoch = 0, .reason = "busy"}};
  CHECK_THAT(reasons_of(row(compare_sweep(runs, "rank0", 0.01), strategy)), !Catch::Contains("numbers of validations"));
}
