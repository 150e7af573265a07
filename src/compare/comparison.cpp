#include "compare/comparison.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"
#include "scenario/rank_roles.h"
#include "scenario/spec_fields.h"
#include "stats/quantiles.h"

namespace valbench {
namespace {

/// The usable runs of one strategy by round.
struct Group {
  std::string name;
  std::map<int, const RunRecord*> rounds;
  std::vector<RunMeasures> measures;  ///< In the order of rounds.
  int failed = 0;
};

constexpr double kOutlierScore = 3.5;

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

std::vector<Group> group_runs(const std::vector<RunRecord>& runs, const std::string& baseline, int& traced) {
  std::vector<Group> groups{{.name = baseline}};
  for (const RunRecord& run : runs) {
    if (run.spec.profile) {
      ++traced;
      continue;
    }
    const std::string& name = run.spec.validation.name;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.name == name; });
    if (group == groups.end()) group = groups.insert(groups.end(), Group{.name = name});
    if (run.status != "complete") {
      ++group->failed;
    } else if (!group->rounds.emplace(run.spec.round, &run).second) {
      throw InputError(
          fmt::format("strategy {} has two runs of round {} ({} and {}): compare them with different names", name,
                      run.spec.round, group->rounds.at(run.spec.round)->spec.run_id, run.spec.run_id));
    }
  }
  for (Group& group : groups) {
    for (const auto& [round, run] : group.rounds) group.measures.push_back(measure_run(*run));
  }
  if (groups.front().rounds.empty() && groups.front().failed == 0) {
    std::string known;
    for (std::size_t i = 1; i < groups.size(); ++i) known += (i > 1 ? ", " : "") + groups[i].name;
    throw InputError(
        fmt::format("no run of the baseline {} is there. {}", baseline,
                    known.empty() ? traced > 0 ? "There are traced runs only, which decide nothing"
                                               : "There is no comparable run at all" : "Strategies with runs: " + known));
  }
  return groups;
}

Measured mean_of(const Group& group, Measured RunMeasures::*measure) {
  std::vector<double> values;
  for (const RunMeasures& m : group.measures) {
    // One run without the value leaves no honest mean over the rounds.
    if (!(m.*measure).value) return m.*measure;
    values.push_back(*(m.*measure).value);
  }
  if (values.empty()) return Measured::not_measured("no complete run");
  if (measure == &RunMeasures::peak_memory_mib) return Measured::of(*std::max_element(values.begin(), values.end()));
  return Measured::of(mean(values));
}

void flag_outliers(const Group& group, const std::vector<double>& job_s, StrategySummary& summary) {
  if (job_s.size() < 3) return;
  const std::vector<double> scores = modified_z_scores(job_s);
  std::size_t i = 0;
  for (const auto& [round, run] : group.rounds) {
    if (std::abs(scores[i++]) > kOutlierScore) summary.outlier_runs.push_back(run->spec.run_id);
  }
}

void summarize_exactness(const Group& group, StrategySummary& summary) {
  bool all = !group.rounds.empty();
  for (const auto& [round, run] : group.rounds) {
    all = all && run->exactness.exact == "true";
    if (run->exactness.exact == "false") {
      summary.exact = "false";
      if (summary.first_difference.empty()) summary.first_difference = run->exactness.first_difference;
    }
  }
  if (all) summary.exact = "true";
}

StrategySummary summarize(const Group& group) {
  StrategySummary summary;
  summary.strategy = group.name;
  summary.runs = static_cast<int>(group.rounds.size());
  summary.failed_runs = group.failed;
  visit_measures([&](Measured RunMeasures::*measure, const char*) { summary.mean.*measure = mean_of(group, measure); });
  if (!group.rounds.empty()) summary.validation = group.rounds.begin()->second->spec.validation;
  if (!summary.mean.job_s.value) {
    summary.job_s_median = summary.job_s_mad = summary.mean.job_s;
  } else {
    std::vector<double> job_s;
    for (const auto& [round, run] : group.rounds) job_s.push_back(run->job_s);
    summary.job_s_median = Measured::of(median(job_s));
    summary.job_s_mad = Measured::of(median_absolute_deviation(job_s));
    flag_outliers(group, job_s, summary);
  }
  summarize_exactness(group, summary);
  return summary;
}

/// Reasons of the runs, with how many runs share each where it is not all of them.
void collect_run_reasons(const Group& group, std::vector<std::string>& reasons) {
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
void require_equal_within(const Group& group, Measured RunMeasures::*measure, const char* what,
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
void require_one_validation_batch(const Group& group, std::vector<std::string>& reasons) {
  int low = std::numeric_limits<int>::max(), high = 0;
  for (const auto& [round, run] : group.rounds) {
    for (const ValidationRecord& validation : run->validations) {
      low = std::min(low, validation.batch_size), high = std::max(high, validation.batch_size);
    }
  }
  if (low < high) reasons.push_back(fmt::format("unequal validation batches between rounds: {} to {}", low, high));
}

std::vector<std::string> group_reasons(const Group& group) {
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

/// What must not differ between the baseline and a strategy. Not amp, cache, workers, threads and ranks: those are ways to do the same work.
std::vector<std::string> unequal_work(const Group& baseline, const Group& group) {
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

/// The spec without what names a run or its place in the sweep.
std::string spec_without_name(RunSpec spec) {
  spec.validation.name.clear();
  spec.run_id.clear();
  spec.folder.clear();
  spec.round = spec.order = 0;
  return run_spec_to_json(spec);
}

void leave_speedup_empty(StrategySummary& summary, const std::string& reason) {
  summary.speedup = summary.speedup_low = summary.speedup_high = Measured::not_measured(reason);
}

/// Ratio, interval and verdict of one strategy. Numbers are given even where the verdict is INVALID.
void compare_group(const Group& baseline, const Group& group, double margin, double confidence,
                   StrategySummary& summary) {
  std::vector<double> a, b;
  for (const auto& [round, run] : group.rounds) {
    const auto partner = baseline.rounds.find(round);
    if (partner == baseline.rounds.end() || !(run->job_s > 0) || !(partner->second->job_s > 0)) continue;
    a.push_back(partner->second->job_s);
    b.push_back(run->job_s);
  }
  const bool valid = summary.reasons.empty();
  const Measured of_baseline = mean_of(baseline, &RunMeasures::job_s);
  for (const Measured& job : {of_baseline, summary.mean.job_s}) {
    if (job.value || a.empty()) continue;
    leave_speedup_empty(summary, job.reason);
    summary.verdict = Verdict::invalid;  // Such runs say themselves why they are not comparable.
    return;
  }
  if (a.empty()) {
    leave_speedup_empty(summary, "no round holds both this strategy and the baseline");
    summary.reasons.push_back(summary.speedup.reason);
    summary.verdict = valid ? Verdict::ambiguous : Verdict::invalid;
    return;
  }
  summary.paired = compare_paired(a, b, confidence);
  summary.speedup = Measured::of(summary.paired->ratio);
  if (summary.paired->pairs < 2) {
    summary.speedup_low = summary.speedup_high = Measured::not_measured("one round");
    if (valid) summary.reasons.push_back("one round");
  } else {
    summary.speedup_low = Measured::of(summary.paired->low);
    summary.speedup_high = Measured::of(summary.paired->high);
  }
  summary.verdict = valid ? judge(*summary.paired, margin) : Verdict::invalid;
}

void collect_notes(const std::vector<RunRecord>& runs, SweepComparison& result) {
  constexpr std::size_t kShown = 8;
  std::vector<std::string> warnings;
  for (const RunRecord& run : runs) {
    if (run.spec.profile) continue;
    for (const std::string& warning : run.warnings) add_once(warnings, warning);
    if (run.status != "complete") {
      // The first line: the rank's last log lines follow it.
      const std::string reason = run.failure.substr(0, run.failure.find('\n'));
      add_once(result.notes, fmt::format("{} is {}: {}.", run.spec.run_id, run.status,
                                         reason.empty() ? "no reason recorded" : reason));
    }
  }
  for (std::size_t i = 0; i < std::min(kShown, warnings.size()); ++i)
    result.notes.push_back("Warning: " + warnings[i] + ".");
  if (warnings.size() > kShown)
    result.notes.push_back(fmt::format("{} more warnings: see run.json of any run.", warnings.size() - kShown));
}

void find_noise_floor(const std::vector<Group>& groups, SweepComparison& result) {
  result.noise_floor = Measured::not_measured("no strategy repeats the baseline under another name");
  if (groups.front().rounds.empty()) return;
  const std::string reference = spec_without_name(groups.front().rounds.begin()->second->spec);
  for (std::size_t i = 1; i < groups.size(); ++i) {
    StrategySummary& summary = result.strategies[i];
    if (groups[i].rounds.empty() || spec_without_name(groups[i].rounds.begin()->second->spec) != reference) continue;
    summary.same_as_baseline = true;
    if (result.noise_floor.value) continue;
    if (!summary.speedup_low.value) {
      result.noise_floor = summary.speedup_low;  // One round, or times that do not count.
      continue;
    }
    result.noise_floor = Measured::of(std::expm1(summary.paired->half_width));
    result.noise_floor_strategy = summary.strategy;
  }
}

/// Two names of one strategy must not differ. Where their interval leaves 1 out, the rounds hold a disturbance that no interval of theirs
/// knows of, so that no verdict may rest on a difference as small. Two strategies alone (`compare`) have nothing beside them to judge.
void hold_against_noise(SweepComparison& result) {
  if (result.strategies.size() < 3) return;
  const auto decided = [](const StrategySummary& s) { return s.paired && (s.verdict == Verdict::faster || s.verdict == Verdict::slower); };
  const auto distance = [](const StrategySummary& s) { return std::abs(std::log(s.paired->ratio)); };
  const StrategySummary* worst = nullptr;
  for (const StrategySummary& s : result.strategies) {
    if (s.same_as_baseline && decided(s) && (worst == nullptr || distance(s) > distance(*worst))) worst = &s;
  }
  if (worst == nullptr) return;
  const double disturbance = distance(*worst);
  const std::string size = fmt::format("{:.1f} %", 100 * std::expm1(disturbance));
  result.notes.push_back(fmt::format("Warning: {} is {} under another name, and its times differ by {}: the machine was disturbed. Verdicts "
                                     "are given to larger differences only.",
                                     worst->strategy, result.baseline, size));
  for (StrategySummary& s : result.strategies) {
    if (!decided(s) || distance(s) > disturbance) continue;
    s.verdict = Verdict::ambiguous;
    s.reasons.push_back("equal strategies differ by " + size + " in these rounds");
  }
}

}  // namespace

SweepComparison compare_sweep(const std::vector<RunRecord>& runs, const std::string& baseline, double margin) {
  SweepComparison result;
  result.baseline = baseline;
  result.margin = std::max(margin, kSmallestMargin);
  const std::vector<Group> groups = group_runs(runs, baseline, result.traced_runs);
  const auto first =
      std::find_if(runs.begin(), runs.end(), [&](const RunRecord& r) { return r.spec.validation.name == baseline; });
  result.spec = first->spec;
  result.machine = first->machine;
  result.scenario = first->spec.scenario;
  const std::vector<std::string> baseline_reasons = group_reasons(groups.front());
  for (const Group& group : groups) {
    StrategySummary& summary = result.strategies.emplace_back(summarize(group));
    summary.reasons = group_reasons(group);
    if (&group == &groups.front()) {
      summary.is_baseline = true;
      if (!summary.reasons.empty()) summary.verdict = Verdict::invalid;
      if (!summary.mean.job_s.value) {
        leave_speedup_empty(summary, summary.mean.job_s.reason);
      } else {
        summary.speedup = summary.speedup_low = summary.speedup_high = Measured::of(1);
      }
      continue;
    }
    for (const std::string& reason : unequal_work(groups.front(), group)) summary.reasons.push_back(reason);
    for (const std::string& reason : baseline_reasons) {
      const auto known = std::find(summary.reasons.begin(), summary.reasons.end(), reason);
      if (known == summary.reasons.end()) summary.reasons.push_back("baseline: " + reason);
    }
    compare_group(groups.front(), group, result.margin, result.confidence, summary);
  }
  find_noise_floor(groups, result);
  hold_against_noise(result);
  collect_notes(runs, result);
  return result;
}

SweepComparison compare_records(std::vector<RunRecord> baseline, const std::string& baseline_name,
                                std::vector<RunRecord> candidate, const std::string& candidate_name, double margin) {
  for (RunRecord& run : baseline) run.spec.validation.name = baseline_name;
  // Two folders may hold one strategy under one name; the table needs two.
  const std::string distinct = candidate_name == baseline_name ? candidate_name + " (2)" : candidate_name;
  for (RunRecord& run : candidate) {
    run.spec.validation.name = distinct;
    baseline.push_back(std::move(run));
  }
  return compare_sweep(baseline, baseline_name, margin);
}

}  // namespace valbench
