#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "report/console_report.h"

namespace valbench {
namespace {

using Strategies = std::vector<const StrategySummary*>;

Strategies with_verdict(const SweepComparison& sweep, Verdict verdict) {
  Strategies found;
  for (const StrategySummary& s : sweep.strategies) {
    if (!s.is_baseline && s.verdict == verdict) found.push_back(&s);
  }
  return found;
}

std::string list_of(const Strategies& strategies, const std::function<std::string(const StrategySummary&)>& text) {
  std::string out;
  for (std::size_t i = 0; i < strategies.size(); ++i) {
    if (i > 0) out += i + 1 == strategies.size() ? " and " : ", ";
    out += text(*strategies[i]);
  }
  return out;
}

std::string names_of(const Strategies& strategies) {
  return list_of(strategies, [](const StrategySummary& s) { return s.strategy; });
}

/// Strategies by what is said of them, in the order in which it came up.
using Sayings = std::vector<std::pair<std::string, Strategies>>;

void add(Sayings& sayings, const std::string& text, const StrategySummary& strategy) {
  auto at = std::find_if(sayings.begin(), sayings.end(), [&](const auto& s) { return s.first == text; });
  if (at == sayings.end()) at = sayings.insert(sayings.end(), {text, {}});
  at->second.push_back(&strategy);
}

std::string interval(const StrategySummary& s) {
  return fmt::format("{:.3f}x [{:.3f}, {:.3f}]", *s.speedup.value, s.speedup_low.value.value_or(*s.speedup.value),
                     s.speedup_high.value.value_or(*s.speedup.value));
}

/// The reason without a surrounding `not measured (…)`, which the sentence says itself.
std::string bare_reason(const std::string& reason) {
  const std::string prefix = "not measured (";
  return reason.starts_with(prefix) ? reason.substr(prefix.size(), reason.size() - prefix.size() - 1) : reason;
}

/// How much of the baseline is validation, and what sharing it could save.
std::string validation_cost(const SweepComparison& sweep) {
  const StrategySummary& base = sweep.strategies.front();
  if (!base.mean.val_share.value) {
    return fmt::format("How much of the training is validation was not measured under {} ({}).", sweep.baseline,
                       bare_reason(base.mean.val_share.reason));
  }
  std::string text = fmt::format("Under {}, validation is {:.0f} % of the time that rank 0 trains and validates",
                                 sweep.baseline, 100 * *base.mean.val_share.value);
  if (base.mean.idle_gpu_s.value) {
    text += fmt::format("; the ranks wait {:.3g} rank-seconds of a run for it", *base.mean.idle_gpu_s.value);
  }
  if (base.mean.balance_gain.value) {
    text += fmt::format(". Sharing it evenly over {} ranks could save at most {:.0f} % (an upper bound)",
                        sweep.spec.ranks, 100 * *base.mean.balance_gain.value);
  }
  return text + ".";
}

const StrategySummary* fastest(const Strategies& strategies) {
  const auto best = std::max_element(strategies.begin(), strategies.end(), [](const auto* a, const auto* b) {
    return *a->speedup.value < *b->speedup.value;
  });
  return best == strategies.end() ? nullptr : *best;
}

/// Smaller errors of an mAP are 0 in the table.
constexpr double kShownError = 0.00005;

bool shows_error(const StrategySummary& s) { return std::abs(s.mean.map50_95_delta.value.value_or(0)) >= kShownError; }

/// A strategy is exact where its numbers are those of rank 0 with the same axes: with other shapes, batches or number formats than the
/// baseline's they may be other numbers all the same.
bool same_numbers(const StrategySummary& s, const StrategySummary& base) {
  const ValidationSpec &a = s.validation, &b = base.validation;
  const bool same_axes =
      a.shape == b.shape && a.precision == b.precision && a.batch_size == b.batch_size && a.batch_max == b.batch_max && a.ema == b.ema;
  return same_axes || (s.mean.map50.value == base.mean.map50.value && s.mean.map50_95.value == base.mean.map50_95.value);
}

/// Every epoch, every image, and bit for bit what rank 0 computes of the same weights with the baseline's axes.
bool keeps_all(const StrategySummary& s, const StrategySummary& base) {
  return s.exact == "true" && s.validation.interval <= base.validation.interval &&
         s.mean.val_images.value == base.mean.val_images.value && same_numbers(s, base);
}

void say_faster(const SweepComparison& sweep, std::vector<std::string>& out) {
  Strategies faster = with_verdict(sweep, Verdict::faster);
  // No validation at all is the bound, not a choice between speed and accuracy.
  std::erase_if(faster, [](const auto* s) { return s->validation.placement == Placement::none; });
  const StrategySummary* best = fastest(faster);
  if (best == nullptr) {
    if (sweep.strategies.size() > 1) {
      out.push_back(fmt::format("No strategy that validates is shown to be faster than {}.", sweep.baseline));
    }
    return;
  }
  const StrategySummary& base = sweep.strategies.front();
  const double saved = 100 * (1 - 1 / *best->speedup.value);
  std::string text = fmt::format("Fastest: {}, {} times the speed of {} ({:.0f} % less time)", best->strategy,
                                 interval(*best), sweep.baseline, saved);
  if (keeps_all(*best, base)) {
    out.push_back(text + ", with the same validation work and the same metrics bit for bit.");
    return;
  }
  if (best->mean.val_images.value && base.mean.val_images.value &&
      *best->mean.val_images.value < *base.mean.val_images.value) {
    text += fmt::format("; it validates {:.0f} instead of {:.0f} images a run", *best->mean.val_images.value,
                        *base.mean.val_images.value);
  } else if (shows_error(*best) && !same_numbers(*best, base)) {
    text += fmt::format("; its mAP50-95 is off by {:+.4f}", *best->mean.map50_95_delta.value);
  }
  Strategies keeping;
  std::copy_if(faster.begin(), faster.end(), std::back_inserter(keeping),
               [&](const auto* s) { return keeps_all(*s, base); });
  if (const StrategySummary* kept = fastest(keeping)) {
    text += fmt::format(". Fastest with the same validation work and metrics bit for bit: {}, {}", kept->strategy,
                        interval(*kept));
  }
  out.push_back(text + ".");
}

void say_not_decided(const SweepComparison& sweep, std::vector<std::string>& out) {
  Sayings by_reason;
  Strategies close;
  for (const StrategySummary* s : with_verdict(sweep, Verdict::ambiguous)) {
    if (!s->reasons.empty()) {
      add(by_reason, s->reasons.front(), *s);
    } else if (s->paired->minimum_detectable_effect > 1) {
      add(by_reason, "too few rounds", *s);
    } else {
      close.push_back(s);
    }
  }
  std::string parts;
  for (const auto& [reason, strategies] : by_reason) parts += fmt::format("{}{} ({})", parts.empty() ? "" : "; ", names_of(strategies), reason);
  if (!close.empty()) {
    const auto effect = [](const StrategySummary& s) {
      return fmt::format("{} ({:.2g} %)", s.strategy, 100 * s.paired->minimum_detectable_effect);
    };
    parts += fmt::format("{}{}, in brackets the difference that these rounds would show", parts.empty() ? "" : "; ", list_of(close, effect));
  }
  if (!parts.empty()) out.push_back("Not decided: " + parts + ". More rounds narrow the interval.");
}

void say_other_verdicts(const SweepComparison& sweep, std::vector<std::string>& out) {
  for (const StrategySummary* s : with_verdict(sweep, Verdict::faster)) {
    if (s->validation.placement != Placement::none) continue;
    out.push_back(fmt::format("The bound: {} does not validate at all and runs at {}.", s->strategy, interval(*s)));
  }
  const auto with_interval = [](const StrategySummary& s) { return s.strategy + " " + interval(s); };
  if (const auto slower = with_verdict(sweep, Verdict::slower); !slower.empty()) {
    out.push_back(fmt::format("Slower than {}: {}.", sweep.baseline, list_of(slower, with_interval)));
  }
  if (const auto same = with_verdict(sweep, Verdict::same); !same.empty()) {
    out.push_back(
        fmt::format("No difference beyond the margin of {:.2g} %: {}.", 100 * sweep.margin, names_of(same)));
  }
}

void say_invalid(const SweepComparison& sweep, std::vector<std::string>& out) {
  Sayings by_reasons;
  for (const StrategySummary& s : sweep.strategies) {
    if (s.verdict != Verdict::invalid) continue;
    std::string reasons;
    for (const std::string& reason : s.reasons) reasons += (reasons.empty() ? "" : "; ") + reason;
    add(by_reasons, reasons, s);
  }
  for (const auto& [reasons, strategies] : by_reasons) {
    out.push_back(fmt::format("INVALID, nothing can be concluded from the times: {}: {}.", names_of(strategies), reasons));
  }
}

/// Strategies off by less than the table shows are counted, not listed.
std::string accuracy_error(const SweepComparison& sweep) {
  Strategies changed;
  std::size_t small = 0;
  for (const StrategySummary& s : sweep.strategies) {
    if (shows_error(s)) {
      changed.push_back(&s);
    } else if (s.mean.map50_95_delta.value.value_or(0) != 0) {
      ++small;
    }
  }
  if (changed.empty() && small == 0) return "";
  std::string text = " Against a full fp32 validation of the same weights, mAP50-95 is off by ";
  text += list_of(changed, [](const StrategySummary& s) { return fmt::format("{:+.4f} ({})", *s.mean.map50_95_delta.value, s.strategy); });
  if (small > 0) {
    text += fmt::format("{}less than 0.00005 ({} {})", changed.empty() ? "" : ", and by ", small, small == 1 ? "strategy" : "strategies");
  }
  return text + ".";
}

void say_accuracy(const SweepComparison& sweep, std::vector<std::string>& out) {
  Strategies exact, inexact;
  for (const StrategySummary& s : sweep.strategies) {
    if (s.exact == "true") exact.push_back(&s);
    if (s.exact == "false") inexact.push_back(&s);
  }
  std::string text;
  if (!inexact.empty()) {
    text += "NOT exact: " + names_of(inexact) + ". ";
  }
  if (!exact.empty()) {
    text += exact.size() == sweep.strategies.size()
                ? "Exact: every strategy's metrics equal rank 0's own validation bit for bit."
                : "Exact (metrics equal rank 0's own validation bit for bit): " + names_of(exact) + ".";
  }
  if (text.empty()) text = "No strategy's metrics were checked against rank 0's own validation.";
  out.push_back(text + accuracy_error(sweep));
}

/// How much of a subset's mAP is the choice of its images.
void say_subsets(const SweepComparison& sweep, std::vector<std::string>& out) {
  Strategies subsets;
  for (const StrategySummary& s : sweep.strategies) {
    if (s.mean.map50_95_se.value && s.mean.map50_95_bias.value) subsets.push_back(&s);
  }
  if (subsets.empty()) return;
  out.push_back("A subset's mAP50-95 depends on the images that it holds. Standard error by resampling them: " +
                list_of(subsets,
                        [](const StrategySummary& s) {
                          return fmt::format("{} {:.4f} (bias {:+.4f})", s.strategy, *s.mean.map50_95_se.value, *s.mean.map50_95_bias.value);
                        }) +
                ". An mAP error within twice the standard error is what another choice of images would give as well.");
}

void say_noise(const SweepComparison& sweep, std::vector<std::string>& out) {
  if (sweep.noise_floor.value) {
    std::string text =
        fmt::format("Noise floor: {:.2g} %, the half-width of {} against {}, which are one strategy under two names",
                    100 * *sweep.noise_floor.value, sweep.noise_floor_strategy, sweep.baseline);
    const auto pair = std::find_if(sweep.strategies.begin(), sweep.strategies.end(),
                                   [&](const StrategySummary& s) { return s.strategy == sweep.noise_floor_strategy; });
    const bool told_apart = pair->verdict == Verdict::faster || pair->verdict == Verdict::slower;
    out.push_back(text +
                  (told_apart ? "; yet they were told apart, so do not trust the other verdicts of this sweep." : "."));
  } else {
    out.push_back("Noise floor: not measured (" + bare_reason(sweep.noise_floor.reason) + ").");
  }
  std::string unusual;
  for (const StrategySummary& s : sweep.strategies) {
    for (const std::string& run : s.outlier_runs) unusual += (unusual.empty() ? "" : ", ") + run;
  }
  if (!unusual.empty()) out.push_back("Unusual job time (counted all the same): " + unusual + ".");
}

/// What the table leaves empty, grouped by reason and strategies.
void say_unmeasured(const SweepComparison& sweep, std::vector<std::string>& out) {
  const std::vector<std::pair<Measured RunMeasures::*, std::string>> shown = {
      {&RunMeasures::job_s, "job time"},                 {&RunMeasures::epoch_s, "epoch time"},
      {&RunMeasures::val_share, "validation time"},      {&RunMeasures::idle_gpu_s, "idle time"},
      {&RunMeasures::comm_wait_s, "communication wait"}, {&RunMeasures::map50_95, "mAP"},
      {&RunMeasures::map50_95_delta, "mAP error"},       {&RunMeasures::peak_memory_mib, "peak memory"}};
  std::vector<std::pair<std::string, std::string>> gaps;  // ` of strategies (reason)` and the columns it empties
  for (const auto& [measure, what] : shown) {
    Sayings by_reason;
    for (const StrategySummary& s : sweep.strategies) {
      if (const Measured& value = s.mean.*measure; !value.value && s.runs > 0) add(by_reason, value.reason, s);
    }
    for (const auto& [reason, strategies] : by_reason) {
      const bool all = strategies.size() == sweep.strategies.size();
      const std::string who = all ? "" : " of " + names_of(strategies);
      const std::string where = fmt::format("{} ({})", who, bare_reason(reason));
      auto at = std::find_if(gaps.begin(), gaps.end(), [&](const auto& gap) { return gap.first == where; });
      if (at == gaps.end()) {
        gaps.emplace_back(where, what);
      } else {
        at->second += ", " + what;
      }
    }
  }
  std::string parts;
  for (const auto& [where, columns] : gaps) parts += (parts.empty() ? "" : "; ") + columns + where;
  if (!parts.empty()) out.push_back("Not measured: " + parts + ".");
}

}  // namespace

std::vector<std::string> report_sentences(const SweepComparison& comparison) {
  std::vector<std::string> out;
  say_invalid(comparison, out);
  out.push_back(validation_cost(comparison));
  say_faster(comparison, out);
  say_other_verdicts(comparison, out);
  say_not_decided(comparison, out);
  say_accuracy(comparison, out);
  say_subsets(comparison, out);
  say_noise(comparison, out);
  say_unmeasured(comparison, out);
  if (comparison.traced_runs > 0) {
    out.push_back(fmt::format("{} traced {} in no number above: tracing changes timing.", comparison.traced_runs,
                              comparison.traced_runs == 1 ? "run is" : "runs are"));
  }
  for (const std::string& note : comparison.notes) out.push_back(note);
  return out;
}

}  // namespace valbench
