#include "report/traced_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "compare/run_measures.h"
#include "report/report_text.h"

namespace valbench {
namespace {

constexpr std::size_t kBusiestPhases = 4;
constexpr std::size_t kHostColumns = 5;

/// The traced runs of one strategy, summed.
struct TracedStrategy {
  std::string name;
  int runs = 0;
  bool timed = true;                         ///< Else the host's times count as not measured.
  double train_s = 0, val_s = 0, job_s = 0;  ///< Sums over the runs.
  int traces = 0;                            ///< GPU traces of all runs and ranks.
  double wall_s = 0;                         ///< Of those: the denominator of the shares.
  std::array<double, 5> classes{};           ///< Compute, transfer, waiting, copies, idle.
  bool waits_known = true;
  double gpu_s = 0, val_gpu_s = 0;
  std::map<std::string, double> phases;  ///< GPU seconds by launching phase.
};

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

void add_run(const RunRecord& run, TracedStrategy& sum, std::vector<std::string>& notes) {
  const RunMeasures measures = measure_run(run);
  ++sum.runs;
  if (!measures.job_s.value) {
    sum.timed = false;
    add_once(notes, fmt::format("Times of {}: {}.", sum.name, measures.job_s.reason));
  }
  sum.job_s += run.job_s;
  sum.train_s += measures.train_s.value.value_or(0);
  sum.val_s += measures.val_s.value.value_or(0);
  for (const GpuTraceRecord& trace : run.gpu_traces) {
    for (const std::string& health : trace.health) {
      add_once(notes, fmt::format("Incomplete trace: {}, rank {}: {}.", run.spec.run_id, trace.rank, health));
    }
    if (!trace.available) {
      add_once(notes, fmt::format("GPU time: {}.", trace.reason));
      continue;
    }
    ++sum.traces;
    sum.wall_s += trace.wall_s.value.value_or(0);
    const std::array parts = {trace.compute_s, trace.comm_transfer_s, trace.comm_wait_s, trace.memcpy_s, trace.idle_s};
    for (std::size_t i = 0; i < parts.size(); ++i) sum.classes[i] += parts[i].value.value_or(0);
    if (!trace.comm_wait_s.value) {
      sum.waits_known = false;
      add_once(notes, fmt::format("Waiting of {}: {}; it counts as transfer.", run.spec.run_id, trace.comm_wait_s.reason));
    }
  }
  for (const GpuPhaseRecord& phase : run.gpu_phases) {
    const double seconds = phase.kernel_s + phase.comm_s + phase.memcpy_s;
    sum.gpu_s += seconds;
    sum.phases[phase.phase] += seconds;
    if (phase.phase.starts_with("val.")) sum.val_gpu_s += seconds;
  }
}

std::string busiest(const TracedStrategy& s) {
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [phase, seconds] : s.phases) order.emplace_back(seconds, phase == "none" ? "no phase" : phase);
  std::sort(order.rbegin(), order.rend());
  order.resize(std::min(order.size(), kBusiestPhases));
  std::string text = fmt::format("{}: the GPU worked longest for", s.name);
  for (std::size_t i = 0; i < order.size(); ++i) {
    text += fmt::format("{} {} ({:.0f} %)", i > 0 ? "," : "", order[i].second, 100 * order[i].first / s.gpu_s);
  }
  return text + ".";
}

std::string share_text(double part, double whole, bool known = true) {
  return known && whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "-";
}

std::string table_of(const std::vector<TracedStrategy>& strategies) {
  std::vector<std::array<std::string, 11>> rows = {
      {"strategy", "runs", "job", "train", "val", "GPU", "GPU", "GPU", "GPU", "GPU", "val of"},
      {"", "", "s", "s/epoch", "s/epoch", "compute", "transfer", "waiting", "copies", "idle", "GPU work"}};
  for (const TracedStrategy& s : strategies) {
    const auto mean = [&](double sum) { return s.timed ? duration_text(Measured::of(sum / s.runs)) : std::string("-"); };
    rows.push_back({short_name(s.name), std::to_string(s.runs), mean(s.job_s), mean(s.train_s), s.val_s > 0 ? mean(s.val_s) : "-",
                    share_text(s.classes[0], s.wall_s), share_text(s.classes[1], s.wall_s),
                    share_text(s.classes[2], s.wall_s, s.waits_known), share_text(s.classes[3], s.wall_s),
                    share_text(s.classes[4], s.wall_s), share_text(s.val_gpu_s, s.gpu_s)});
  }
  const bool on_gpu = std::any_of(strategies.begin(), strategies.end(), [](const auto& s) { return s.traces > 0; });
  std::vector<std::size_t> widths(on_gpu ? rows[0].size() : kHostColumns);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line = fmt::format("{:<{}}", rows[r][0], widths[0]);
    for (std::size_t i = 1; i < widths.size(); ++i) line += fmt::format("  {:>{}}", rows[r][i], widths[i]);
    const std::size_t width = line.size();
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (r == 1) out += std::string(width, '-') + "\n";
  }
  return out;
}

}  // namespace

std::string traced_report(const std::vector<RunRecord>& runs, const std::string& baseline) {
  std::vector<TracedStrategy> strategies;
  std::vector<std::string> notes;
  const RunRecord* first = nullptr;
  for (const RunRecord& run : runs) {
    if (!run.spec.profile || run.status != "complete") continue;
    if (first == nullptr) first = &run;
    const std::string& name = run.spec.validation.name;
    auto at = std::find_if(strategies.begin(), strategies.end(), [&](const auto& s) { return s.name == name; });
    if (at == strategies.end()) at = strategies.insert(strategies.end(), TracedStrategy{.name = name});
    add_run(run, *at, notes);
  }
  if (first == nullptr) return {};
  std::stable_partition(strategies.begin(), strategies.end(), [&](const auto& s) { return s.name == baseline; });
  std::string out = "Traced: " + work_text(first->spec, first->machine) + "\n\n" + table_of(strategies) + "\n";
  append_wrapped("These runs are traced, which changes timing: they explain, and no verdict comes from them. For a "
                 "comparison run the sweep without --profile into another folder.", out);
  for (const TracedStrategy& s : strategies) {
    if (s.gpu_s > 0) append_wrapped(busiest(s), out);
  }
  if (std::any_of(strategies.begin(), strategies.end(), [](const auto& s) { return s.traces > 0; })) {
    append_wrapped("GPU shares are of the traced window (from the second epoch on, or the only one), mean over ranks; "
                   "compute, transfer, waiting, copies and idle add up to 100 %.", out);
  }
  for (const std::string& note : notes) append_wrapped(note, out);
  append_wrapped(fmt::format("Each run's folder holds rank-0.trace.json{}: open them with ui.perfetto.dev or "
                             "chrome://tracing (profilers/README.md).",
                             first->spec.ranks > 1 ? fmt::format(" to rank-{}.trace.json", first->spec.ranks - 1) : ""),
                 out);
  return out;
}

}  // namespace valbench
