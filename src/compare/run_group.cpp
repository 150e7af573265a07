#include "compare/run_group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "scenario/rank_roles.h"
#include "scenario/spec_fields.h"

namespace valbench {
namespace {

/// Reasons of the runs, with how many runs share each where it is not all of them.
void collect_run_reasons(const RunGroup& group, std::vector<std::string>& reasons) {
  std::vector<std::string> distinct;
  std::map<std::string, std::size_t> counts;
  for (const auto& [round, run] : group.rounds) {
    std::vector<std::string> of_run;
    for (const std::string& reason : invalid_reasons(*run)) add_once(of_run, reason);
    for (const std::string& reason : of_run) {
      add_once(distinct, reason);
      ++counts[reason];
    }
  }
  for (const std::string& reason : distinct) {
    const std::size_t n = counts[reason];
    reasons.push_back(n == group.rounds.size() ? reason
                                               : fmt::format("{} ({} of {} runs)", reason, n, group.rounds.size()));
  }
}

/// Whether one measure is equal in all runs; says so in `reasons` when not.
void require_equal_within(const RunGroup& group, Measured RunMeasures::*measure, const char* what,
                          std::vector<std::string>& reasons) {
  if (group.measures.empty()) return;
  const auto value = [&](const RunMeasures& m) { return (m.*measure).value.value_or(0); };
  const auto [low, high] = std::minmax_element(group.measures.begin(), group.measures.end(),
                                               [&](const auto& a, const auto& b) { return value(a) < value(b); });
  if (value(*low) != value(*high)) {
    reasons.push_back(fmt::format("unequal {} between rounds: {:.0f} to {:.0f}", what, value(*low), value(*high)));
  }
}

/// batch_size: max is measured in every run, and rect batches, and so the numbers, depend on it.
void require_one_validation_batch(const RunGroup& group, std::vector<std::string>& reasons) {
  int low = std::numeric_limits<int>::max(), high = 0;
  for (const auto& [round, run] : group.rounds) {
    for (const ValidationRecord& validation : run->validations) {
      low = std::min(low, validation.batch_size), high = std::max(high, validation.batch_size);
    }
  }
  if (low < high) reasons.push_back(fmt::format("unequal validation batches between rounds: {} to {}", low, high));
}

/// Whether two runs can have trained one data set equally often. The sampler repeats images until they are a multiple of the ranks that
/// train, and of those there may be fewer under one strategy than under another.
bool same_images(const RunRecord& a, double images_a, const RunRecord& b, double images_b) {
  const int ranks_a = training_ranks(a.spec), ranks_b = training_ranks(b.spec);
  const double epochs_a = static_cast<double>(a.train_checksums.size()), epochs_b = static_cast<double>(b.train_checksums.size());
  if (ranks_a == ranks_b || epochs_a != epochs_b || epochs_a < 1) return images_a == images_b;
  const double most_a = images_a / epochs_a, most_b = images_b / epochs_b;  // So many images in the set, or fewer by less than ranks.
  return std::max(most_a - ranks_a, most_b - ranks_b) < std::min(most_a, most_b);
}

std::map<std::string, double> hyperparameters_by_name(const Hyperparameters& hyp) {
  std::map<std::string, double> values;
  visit_hyperparameters(hyp, [&](const char* name, double value) { values[name] = value; });
  return values;
}

}  // namespace

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

std::vector<std::string> reasons_within(const RunGroup& group) {
  std::vector<std::string> reasons;
  collect_run_reasons(group, reasons);
  require_equal_within(group, &RunMeasures::train_images, "training images", reasons);
  require_equal_within(group, &RunMeasures::optimizer_steps, "optimizer steps", reasons);
  require_one_validation_batch(group, reasons);
  // Where time decides how often is validated (time_share, skipped snapshots) the counts are reported, not held against each other.
  const auto by_time = [](const auto& round) {
    return round.second->spec.validation.time_share > 0 || !round.second->skipped_validations.empty();
  };
  if (std::any_of(group.rounds.begin(), group.rounds.end(), by_time)) return reasons;
  require_equal_within(group, &RunMeasures::validations, "numbers of validations", reasons);
  require_equal_within(group, &RunMeasures::val_images, "validation images", reasons);
  return reasons;
}

std::vector<std::string> reasons_against(const RunGroup& baseline, const RunGroup& group) {
  std::vector<std::string> reasons;
  if (baseline.rounds.empty() || group.rounds.empty()) return reasons;
  const RunRecord &a = *baseline.rounds.begin()->second, &b = *group.rounds.begin()->second;
  const RunMeasures &ma = baseline.measures.front(), &mb = group.measures.front();
  const auto require_equal = [&](const char* what, const auto& of_baseline, const auto& of_this) {
    if (of_baseline != of_this)
      reasons.push_back(fmt::format("{} differs: {}, baseline {}", what, of_this, of_baseline));
  };
  require_equal("model", a.spec.model, b.spec.model);
  require_equal("data set", a.spec.data.string(), b.spec.data.string());
  require_equal("imgsz", a.spec.imgsz, b.spec.imgsz);
  require_equal("number of epochs", a.spec.epochs, b.spec.epochs);
  require_equal("training batch", a.spec.batch_size, b.spec.batch_size);
  require_equal("optimizer", to_string(a.spec.optimizer), to_string(b.spec.optimizer));
  require_equal("freeze", fmt::format("[{}]", fmt::join(a.spec.freeze, ", ")), fmt::format("[{}]", fmt::join(b.spec.freeze, ", ")));
  require_equal("rect", a.spec.rect, b.spec.rect);
  require_equal("quad", a.spec.quad, b.spec.quad);
  require_equal("multi_scale", a.spec.multi_scale, b.spec.multi_scale);
  require_equal("sync_bn", a.spec.sync_bn, b.spec.sync_bn);
  const auto hyp_a = hyperparameters_by_name(a.spec.hyp), hyp_b = hyperparameters_by_name(b.spec.hyp);
  for (const auto& [name, value] : hyp_a) require_equal(("hyp " + name).c_str(), value, hyp_b.at(name));
  const double images_a = ma.train_images.value.value_or(0), images_b = mb.train_images.value.value_or(0);
  if (!same_images(a, images_a, b, images_b)) require_equal("training images", images_a, images_b);
  require_equal("optimizer steps", ma.optimizer_steps.value.value_or(0), mb.optimizer_steps.value.value_or(0));
  require_equal("GPU", a.machine.gpu, b.machine.gpu);
  require_equal("CPU", a.machine.host_cpu, b.machine.host_cpu);
  return reasons;
}

}  // namespace valbench
