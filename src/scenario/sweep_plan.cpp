#include "scenario/sweep_plan.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <set>

#include "base/error.h"
#include "scenario/rank_roles.h"

namespace valbench {
namespace {

/// Letters, digits, `.`, `_`, `=` and `-` survive; anything else becomes one `-`.
std::string as_file_name(const std::string& name) {
  std::string safe;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '=' || c == '-';
    if (plain) {
      safe += c;
    } else if (!safe.empty() && safe.back() != '-') {
      safe += '-';
    }
  }
  while (!safe.empty() && (safe.back() == '-' || safe.back() == '.')) safe.pop_back();
  while (!safe.empty() && safe.front() == '.') safe.erase(0, 1);
  return safe.empty() ? "unnamed" : safe;
}

/// std::shuffle may differ between standard libraries; this does not.
std::vector<std::size_t> shuffled_order(std::size_t count, std::uint64_t seed, int round) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(seed * 0x9E3779B97F4A7C15ull + static_cast<std::uint64_t>(round) + 1);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

/// One file name per strategy; equal ones get a number.
std::vector<std::string> unique_file_names(const std::vector<ValidationSpec>& strategies) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const auto& strategy : strategies) {
    const std::string name = as_file_name(strategy.name);
    std::string candidate = name;
    for (int n = 2; !taken.insert(candidate).second; ++n) candidate = name + "-" + std::to_string(n);
    names.push_back(candidate);
  }
  return names;
}

std::string reason_of_device(const RunSpec& base, const ValidationSpec& strategy) {
  if (base.device != DeviceKind::cpu) return {};
  if (strategy.precision == Precision::fp16) return "precision fp16 needs a GPU, this sweep runs on the CPU";
  if (strategy.batch_max) return "batch_size max fills a GPU's memory, this sweep runs on the CPU";
  if (strategy.cache == ValidationCache::gpu) return "cache gpu keeps batches on a GPU, this sweep runs on the CPU";
  return {};
}

}  // namespace

std::string reason_not_to_run(const RunSpec& base, const ValidationSpec& strategy) {
  if (const std::string reason = reason_of_device(base, strategy); !reason.empty()) return reason;
  if (strategy.cache == ValidationCache::gpu && strategy.loader == LoaderLife::per_validation) {
    return "cache gpu asks a loader for its batches once, and loader per_validation makes a new one for each validation";
  }
  if (strategy.placement == Placement::dedicated && strategy.ema == EmaUse::in_place) {
    return "ema in_place rounds the weights that training averages, and ranks that only validate have a copy of them";
  }
  if (strategy.placement == Placement::dedicated && strategy.shard == ShardMode::images_padded) {
    return "shard images_padded shows what DistributedSampler does to placement sharded; ranks that only validate deal whole batches";
  }
  if (strategy.placement == Placement::sharded && strategy.shard != ShardMode::batches && base.ranks == 1) {
    return "shard " + to_string(strategy.shard) + " is a way of dealing to several ranks, and there is one";
  }
  const bool late = strategy.placement == Placement::overlapped || strategy.placement == Placement::deferred ||
                    strategy.placement == Placement::dedicated;
  if (strategy.score == ScoreMode::background && late) {
    return "score background takes the metrics out of the time that training waits, and under placement " + to_string(strategy.placement) +
           " it does not wait for them";
  }
  RunSpec spec = base;
  spec.validation = strategy;
  // Another batch would be another training.
  if (const int trained = training_ranks(spec); spec.batch_size % trained != 0) {
    return "batch_size " + std::to_string(spec.batch_size) + " cannot be dealt evenly to the " + std::to_string(trained) +
           " ranks that train when " + std::to_string(strategy.dedicated_ranks) + " of " + std::to_string(spec.ranks) + " only validate";
  }
  return {};
}

SweepPlan plan_sweep(const Scenario& scenario, const std::filesystem::path& folder) {
  SweepPlan plan;
  plan.folder = std::filesystem::absolute(folder).lexically_normal();
  std::vector<ValidationSpec> strategies;
  for (const auto& strategy : scenario.strategies) {
    const std::string reason = reason_not_to_run(scenario.base, strategy);
    if (reason.empty()) {
      strategies.push_back(strategy);
    } else if (strategy.name == scenario.baseline) {
      throw InputError("baseline = " + strategy.name + ": cannot run here: " + reason + ". Choose another baseline");
    } else {
      plan.skipped.push_back({strategy.name, reason});
    }
  }
  const auto names = unique_file_names(strategies);
  for (int round = 0; round < scenario.rounds; ++round) {
    for (const std::size_t index : shuffled_order(strategies.size(), scenario.base.seed, round)) {
      RunSpec spec = scenario.base;
      char prefix[16];
      std::snprintf(prefix, sizeof prefix, "r%02d-", round);
      spec.scenario = scenario.name;
      spec.validation = strategies[index];
      spec.run_id = prefix + names[index];
      spec.round = round;
      spec.order = static_cast<int>(plan.runs.size());
      if (scenario.synthetic) spec.data = plan.folder / "data" / "data.yaml";
      spec.folder = plan.folder / spec.run_id;
      plan.runs.push_back(std::move(spec));
    }
  }
  return plan;
}

std::filesystem::path default_sweep_folder(const Scenario& scenario) {
  return std::filesystem::current_path() / "results" / as_file_name(scenario.name);
}

std::string difference_in_work(const RunSpec& before, const RunSpec& now) {
  const auto settings = [](RunSpec spec) {
    spec.folder.clear();
    spec.notices.clear();
    spec.order = 0;
    return nlohmann::json::parse(run_spec_to_json(spec)).flatten();
  };
  const auto old_settings = settings(before), new_settings = settings(now);
  for (const auto& [path, value] : new_settings.items()) {
    const auto found = old_settings.find(path);
    if (found != old_settings.end() && *found == value) continue;
    std::string key = path.substr(1);
    std::replace(key.begin(), key.end(), '/', '.');
    return key + ": " + (found == old_settings.end() ? "(nothing)" : found->dump()) + ", now " + value.dump();
  }
  return old_settings.size() == new_settings.size() ? "" : "device_ids";
}

bool same_work(const RunSpec& a, const RunSpec& b) { return difference_in_work(a, b).empty(); }

}  // namespace valbench
