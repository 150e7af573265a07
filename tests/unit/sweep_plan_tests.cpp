#include "scenario/sweep_plan.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "scenario/axis.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {
Scenario three_strategies() {
  Scenario scenario;
  scenario.name = "plan", scenario.rounds = 4, scenario.baseline = "rank0", scenario.base.ranks = 2;
  for (const char* name : {"rank0", "sharded", "every 2nd epoch"}) {
    ValidationSpec spec;
    spec.name = name;
    scenario.strategies.push_back(spec);
  }
  return scenario;
}

std::vector<std::string> ids(const SweepPlan& plan) {
  std::vector<std::string> all;
  for (const auto& run : plan.runs) all.push_back(run.run_id);
  return all;
}
}  // namespace

TEST_CASE("a plan holds every strategy once in every round, and is the same every time") {
  const Scenario scenario = three_strategies();
  const SweepPlan plan = plan_sweep(scenario, "/tmp/out");
  CHECK(ids(plan) == ids(plan_sweep(scenario, "/tmp/out")));
  REQUIRE(plan.runs.size() == 12);
  std::set<std::pair<int, std::string>> seen;
  for (std::size_t i = 0; i < plan.runs.size(); ++i) {
    const RunSpec& run = plan.runs[i];
    CHECK(run.order == static_cast<int>(i));
    CHECK(run.round == static_cast<int>(i / 3));
    CHECK(run.folder == "/tmp/out/" + run.run_id);
    seen.insert({run.round, run.validation.name});
  }
  CHECK(seen.size() == 12);
}

TEST_CASE("the order differs between rounds and seeds, and more rounds keep the earlier ones") {
  Scenario scenario = three_strategies();
  scenario.rounds = 20;
  const auto twenty = ids(plan_sweep(scenario, "/tmp/out"));
  std::set<std::string> first_of_round;
  for (std::size_t i = 0; i < twenty.size(); i += 3) first_of_round.insert(twenty[i].substr(4));
  CHECK(first_of_round.size() == 3);
  scenario.rounds = 4;
  const auto four = ids(plan_sweep(scenario, "/tmp/out"));
  CHECK(std::equal(four.begin(), four.end(), twenty.begin()));
  scenario.base.seed = 1, scenario.rounds = 20;
  CHECK(ids(plan_sweep(scenario, "/tmp/out")) != twenty);
}

TEST_CASE("run folders are safe file names and never fall together") {
  Scenario scenario = three_strategies();
  scenario.strategies[1].name = "a/b", scenario.strategies[2].name = "a b", scenario.rounds = 1;
  const auto names = ids(plan_sweep(scenario, "/tmp/out"));
  const std::set<std::string> all(names.begin(), names.end());
  CHECK(all == std::set<std::string>{"r00-rank0", "r00-a-b", "r00-a-b-2"});
}

TEST_CASE("a strategy that cannot run here is skipped with a reason, a baseline is refused") {
  Scenario scenario = three_strategies();
  scenario.strategies[1].precision = Precision::fp16;
  const SweepPlan plan = plan_sweep(scenario, "/tmp/out");
  REQUIRE(plan.skipped.size() == 1);
  CHECK(plan.skipped[0].strategy == "sharded");
  CHECK_THAT(plan.skipped[0].reason, Contains("needs a GPU"));
  CHECK(plan.runs.size() == 8);
  scenario.baseline = "sharded";
  CHECK_THROWS_WITH(plan_sweep(scenario, "/tmp/out"), Contains("baseline = sharded") && Contains("another baseline"));
}

TEST_CASE("what fills or keeps a GPU's memory is skipped on a CPU, and kept batches with a loader made anew anywhere") {
  Scenario scenario = three_strategies();
  scenario.strategies[1].batch_max = true;
  scenario.strategies[2].cache = ValidationCache::gpu;
  SweepPlan plan = plan_sweep(scenario, "/tmp/out");
  REQUIRE(plan.skipped.size() == 2);
  CHECK_THAT(plan.skipped[0].reason, Contains("batch_size max") && Contains("runs on the CPU"));
  CHECK_THAT(plan.skipped[1].reason, Contains("cache gpu") && Contains("runs on the CPU"));
  scenario.base.device = DeviceKind::cuda;
  CHECK(plan_sweep(scenario, "/tmp/out").skipped.empty());
  scenario.strategies[2].loader = LoaderLife::per_validation;
  plan = plan_sweep(scenario, "/tmp/out");
  REQUIRE(plan.skipped.size() == 1);
  CHECK_THAT(plan.skipped[0].reason, Contains("cache gpu") && Contains("loader per_validation"));
}

TEST_CASE("synthetic data lie in the sweep's folder") {
  Scenario scenario = three_strategies();
  scenario.synthetic = true;
  CHECK(plan_sweep(scenario, "/tmp/out").runs[0].data == "/tmp/out/data/data.yaml");
}

TEST_CASE("two specs are the same work when all but the folder is equal") {
  const SweepPlan here = plan_sweep(three_strategies(), "/tmp/here"),
                  there = plan_sweep(three_strategies(), "/tmp/there");
  CHECK(same_work(here.runs[0], there.runs[0]));
  RunSpec changed = here.runs[0];
  changed.hyp.lr0 *= 1.0000001;
  CHECK_FALSE(same_work(here.runs[0], changed));
  changed = here.runs[0];
  changed.order = 17;
  CHECK(same_work(here.runs[0], changed));
  changed.validation.interval = 4;
  CHECK(difference_in_work(here.runs[0], changed) == "validation.interval: 1, now 4");
  changed = here.runs[0];
  changed.device_ids = {0, 1};
  CHECK_FALSE(same_work(here.runs[0], changed));
  CHECK_FALSE(same_work(changed, here.runs[0]));
}

TEST_CASE("axes multiply the strategies, the first axis slowest") {
  const Axis batch{
      "batch_size",
      {{"16", [](ValidationSpec& s) { s.batch_size = 16; }}, {"32", [](ValidationSpec& s) { s.batch_size = 32; }}}};
  const Axis shape{"shape",
                   {{"rect", [](ValidationSpec& s) { s.shape = BatchShape::rect; }},
                    {"square", [](ValidationSpec& s) { s.shape = BatchShape::square; }}}};
  const auto points = multiply(three_strategies().strategies, {batch, shape});
  REQUIRE(points.size() == 12);
  CHECK(points[0].name == "rank0 batch_size=16 shape=rect");
  CHECK(points[1].name == "rank0 batch_size=16 shape=square");
  CHECK(points[7].batch_size == 32);
  CHECK(points[5].shape == BatchShape::square);
}

TEST_CASE("background scoring of a placement that does not make training wait is skipped with the reason") {
  Scenario scenario = three_strategies();
  scenario.strategies[1].score = scenario.strategies[2].score = ScoreMode::background;
  scenario.strategies[2].placement = Placement::deferred;
  const SweepPlan plan = plan_sweep(scenario, "/tmp/out");
  REQUIRE(plan.skipped.size() == 1);
  CHECK(plan.skipped[0].strategy == "every 2nd epoch");
  CHECK_THAT(plan.skipped[0].reason, Contains("score background") && Contains("under placement deferred it does not wait for them"));
}

TEST_CASE("a strategy whose training ranks cannot share the batch evenly is skipped with the reason, not given another batch") {
  Scenario scenario = three_strategies();
  scenario.base.ranks = 3, scenario.base.batch_size = 9;
  ValidationSpec& dedicated = scenario.strategies[1];
  dedicated.placement = Placement::dedicated;
  SweepPlan plan = plan_sweep(scenario, "/tmp/out");
  REQUIRE(plan.skipped.size() == 1);
  CHECK(plan.skipped[0].strategy == "sharded");
  CHECK_THAT(plan.skipped[0].reason, Contains("batch_size 9 cannot be dealt evenly to the 2 ranks that train when 1 of 3 only validate"));
  CHECK(plan.runs.size() == 8);

  scenario.base.batch_size = 12;
  plan = plan_sweep(scenario, "/tmp/out");
  CHECK(plan.skipped.empty());
  for (const RunSpec& run : plan.runs) CHECK(run.batch_size == 12);

  dedicated.ema = EmaUse::in_place;
  plan = plan_sweep(scenario, "/tmp/out");
  REQUIRE(plan.skipped.size() == 1);
  CHECK_THAT(plan.skipped[0].reason, Contains("ema in_place"));
  dedicated.ema = EmaUse::copy, dedicated.shard = ShardMode::images_padded;
  plan = plan_sweep(scenario, "/tmp/out");
  REQUIRE(plan.skipped.size() == 1);
  CHECK_THAT(plan.skipped[0].reason, Contains("shard images_padded"));
}

TEST_CASE("a way of dealing to ranks is skipped where there is one rank") {
  Scenario scenario = three_strategies();
  scenario.strategies[1].placement = Placement::sharded;
  scenario.strategies[1].shard = ShardMode::images_padded;
  CHECK(plan_sweep(scenario, "/tmp/out").skipped.empty());
  scenario.base.ranks = 1;
  const auto skipped = plan_sweep(scenario, "/tmp/out").skipped;
  REQUIRE(skipped.size() == 1);
  CHECK(skipped[0].strategy == "sharded");
  CHECK_THAT(skipped[0].reason, Contains("shard images_padded") && Contains("there is one"));
}
