#include "compare/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "compare/run_group.h"
#include "stats/quantiles.h"

namespace valbench {
namespace {

constexpr double kOutlierScore = 3.5;

std::vector<RunGroup> group_runs(const std::vector<RunRecord>& runs, const std::string& baseline, int& traced) {
  std::vector<RunGroup> groups{{.name = baseline}};
  for (const RunRecord& run : runs) {
    if (run.spec.profile) {
      ++traced;
      continue;
    }
    const std::string& name = run.spec.validation.name;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const RunGroup& g) { return g.name == name; });
    if (group == groups.end()) group = groups.insert(groups.end(), RunGroup{.name = name});
    if (run.status != "complete") {
      ++group->failed;
    } else if (!group->rounds.emplace(run.spec.round, &run).second) {
      throw InputError(
          fmt::format("strategy {} has two runs of round {} ({} and {}): compare them with different names", name,
                      run.spec.round, group->rounds.at(run.spec.round)->spec.run_id, run.spec.run_id));
    }
  }
  for (RunGroup& group : groups) {
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

Measured mean_of(const RunGroup& group, Measured RunMeasures::*measure) {
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

void flag_outliers(const RunGroup& group, const std::vector<double>& job_s, StrategySummary& summary) {
  if (job_s.size() < 3) return;
  const std::vector<double> scores = modified_z_scores(job_s);
  std::size_t i = 0;
  for (const auto& [round, run] : group.rounds) {
    if (std::abs(scores[i++]) > kOutlierScore) summary.outlier_runs.push_back(run->spec.run_id);
  }
}

void summarize_exactness(const RunGroup& group, StrategySummary& summary) {
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

StrategySummary summarize(const RunGroup& group) {
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
void compare_group(const RunGroup& baseline, const RunGroup& group, double margin, double confidence,
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

void find_noise_floor(const std::vector<RunGroup>& groups, SweepComparison& result) {
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
  const std::vector<RunGroup> groups = group_runs(runs, baseline, result.traced_runs);
  const auto first =
      std::find_if(runs.begin(), runs.end(), [&](const RunRecord& r) { return r.spec.validation.name == baseline; });
  result.spec = first->spec;
  result.machine = first->machine;
  result.scenario = first->spec.scenario;
  const std::vector<std::string> baseline_reasons = reasons_within(groups.front());
  for (const RunGroup& group : groups) {
    StrategySummary& summary = result.strategies.emplace_back(summarize(group));
    summary.reasons = reasons_within(group);
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
    for (const std::string& reason : reasons_against(groups.front(), group)) summary.reasons.push_back(reason);
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
