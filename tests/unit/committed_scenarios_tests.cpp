// The scenarios that come with the program.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/file.h"
#include "scenario/scenario.h"
#include "scenario/sweep_plan.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

fs::path scenarios() {
  const char* source = std::getenv("VALBENCH_SOURCE");
  return fs::path(source != nullptr ? source : ".") / "scenarios";
}

std::vector<fs::path> committed() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(scenarios())) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

const Machine kTwoGpus{8, 2, ""}, kTwoCores{2, 0, "no GPU here"};

Scenario parsed(const std::string& name, const Machine& machine, std::vector<std::string> settings = {}) {
  std::vector<Override> overrides;
  for (const std::string& setting : settings) overrides.push_back(parse_override(setting));
  return parse_scenario(scenarios() / name, overrides, machine);
}

std::set<std::string> names_of(const std::vector<Skipped>& skipped) {
  std::set<std::string> names;
  for (const Skipped& s : skipped) names.insert(s.strategy);
  return names;
}

/// The keys in which two strategies differ, name and all.
std::set<std::string> difference(const ValidationSpec& a, const ValidationSpec& b) {
  RunSpec of_a, of_b;
  of_a.validation = a, of_b.validation = b;
  const auto json_a = nlohmann::json::parse(run_spec_to_json(of_a)).at("validation");
  const auto json_b = nlohmann::json::parse(run_spec_to_json(of_b)).at("validation");
  std::set<std::string> keys;
  for (const auto& [key, value] : json_a.items()) {
    if (json_b.at(key) != value) keys.insert(key);
  }
  return keys;
}

}  // namespace

TEST_CASE("the committed scenarios parse and plan, on GPUs and on two cores") {
  const std::vector<fs::path> files = committed();
  CHECK(files.size() >= 9);
  for (const fs::path& file : files) {
    for (const Machine& machine : {kTwoGpus, kTwoCores}) {
      INFO(file << " on " << machine.gpus << " GPUs");
      const std::string name = file.filename();
      const Scenario scenario = parsed(name, machine, {"weights=none", name == "bccd.yaml" ? "data=synth" : "seed=0"});
      CHECK_FALSE(scenario.base.oversubscribed);
      CHECK_FALSE(plan_sweep(scenario, "/tmp/out").runs.empty());
    }
  }
}

TEST_CASE("every committed scenario says its question, needs and time, and stands in the table of scenarios/README.md") {
  const std::string readme = read_file(scenarios() / "README.md");
  for (const fs::path& file : committed()) {
    INFO(file);
    const std::string text = read_file(file), name = file.filename();
    CHECK(text.starts_with("# Question: "));
    CHECK_THAT(text, Contains("\n# Needs: ") && Contains("\n# Takes: "));
    CHECK_THAT(text, Contains("\nname: " + file.stem().string() + "\n"));
    CHECK_THAT(readme, Contains("\n| " + name + " |"));
  }
}

TEST_CASE("strategies.yaml holds every placement, and all of them run on two cores") {
  const Scenario scenario = parsed("strategies.yaml", kTwoCores);
  CHECK(plan_sweep(scenario, "/tmp/out").skipped.empty());
  std::set<Placement> placements;
  for (const ValidationSpec& strategy : scenario.strategies) placements.insert(strategy.placement);
  CHECK(placements == std::set<Placement>{Placement::none, Placement::rank0, Placement::sharded, Placement::dedicated,
                                          Placement::overlapped, Placement::deferred});
  CHECK(difference(scenario.strategies[0], scenario.strategies[1]) == std::set<std::string>{"name"});
}

TEST_CASE("validation_axes.yaml varies every key of a strategy, each alone against the baseline") {
  const Scenario scenario = parsed("validation_axes.yaml", kTwoGpus);
  const ValidationSpec& baseline = scenario.strategies.front();
  CHECK(baseline.name == scenario.baseline);
  std::set<std::string> varied;
  for (std::size_t i = 1; i < scenario.strategies.size(); ++i) {
    INFO(scenario.strategies[i].name);
    std::set<std::string> keys = difference(baseline, scenario.strategies[i]);
    keys.erase("name");
    varied.insert(keys.begin(), keys.end());
    // A way of sharding needs sharding, and dense last epochs need epochs that are left out.
    if (keys.contains("shard")) keys.erase("placement");
    if (keys.contains("dense_last")) keys.erase("interval");
    CHECK(keys.size() == (i == 1 ? 0 : 1));
  }
  const auto all = nlohmann::json::parse(run_spec_to_json(scenario.base)).at("validation");
  // Ranks that only validate and overlapping on all ranks are in strategies.yaml; another seed is another draw of the same axis.
  const std::set<std::string> elsewhere{"name", "dedicated_ranks", "overlap", "subset_seed"};
  for (const auto& [key, value] : all.items()) {
    INFO(key);
    CHECK(varied.contains(key) != elsewhere.contains(key));
  }
}

TEST_CASE("validation_axes.yaml skips the ways of sharding on one rank, and on the CPU what needs a GPU") {
  const std::set<std::string> shards{"sharded by pixels", "sharded with padding"};
  CHECK(names_of(plan_sweep(parsed("validation_axes.yaml", kTwoGpus), "/tmp/out").skipped) == shards);
  CHECK(plan_sweep(parsed("validation_axes.yaml", kTwoGpus, {"ranks=2"}), "/tmp/out").skipped.empty());
  CHECK(names_of(plan_sweep(parsed("validation_axes.yaml", kTwoCores, {"ranks=2"}), "/tmp/out").skipped) ==
        std::set<std::string>{"cache on the GPU", "fp16", "largest batch"});
}
