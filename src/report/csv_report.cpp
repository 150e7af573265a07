#include "report/csv_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/file.h"

namespace valbench {
namespace {

/// One column of a table whose rows are Row; a measured one also fills a reason column at the end of the row.
template <class Row>
struct Column {
  std::string name;
  std::function<Measured(const Row&)> measured;  ///< Either this,
  std::function<std::string(const Row&)> text;   ///< or this.
};

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string out = "\"";
  for (const char c : cell) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "; ") + part;
  return out;
}

void append_row(const std::vector<std::string>& cells, std::string& out) {
  for (std::size_t i = 0; i < cells.size(); ++i) out += (i > 0 ? "," : "") + quoted(cells[i]);
  out += '\n';
}

/// schema_version, the columns, then a `_reason` column for each measured one.
template <class Row>
std::vector<std::string> names_of(const std::vector<Column<Row>>& columns) {
  std::vector<std::string> names{"schema_version"};
  for (const auto& column : columns) names.push_back(column.name);
  for (const auto& column : columns) {
    if (column.measured) names.push_back(column.name + "_reason");
  }
  return names;
}

template <class Row>
std::string table_of(const std::vector<Column<Row>>& columns, const std::vector<Row>& rows) {
  std::string out;
  append_row(names_of(columns), out);
  for (const Row& row : rows) {
    std::vector<std::string> cells{std::to_string(kCsvSchemaVersion)}, reasons;
    for (const auto& column : columns) {
      if (!column.measured) {
        cells.push_back(column.text(row));
        continue;
      }
      const Measured value = column.measured(row);
      cells.push_back(value.value ? fmt::format("{}", *value.value) : "");
      reasons.push_back(value.value ? "" : value.reason);
    }
    cells.insert(cells.end(), reasons.begin(), reasons.end());
    append_row(cells, out);
  }
  return out;
}

/// One row of summary.csv.
struct SummaryRow {
  const SweepComparison* sweep = nullptr;
  const StrategySummary* strategy = nullptr;
};

Measured of_pairs(const SummaryRow& row, double PairedComparison::*value) {
  if (!row.strategy->paired && !row.strategy->speedup.value) return row.strategy->speedup;
  if (!row.strategy->paired) return Measured::not_measured(row.strategy->is_baseline ? "is the baseline" : "no pairs");
  if (row.strategy->paired->pairs < 2) return Measured::not_measured("one round");
  return Measured::of((*row.strategy->paired).*value);
}

std::vector<Column<SummaryRow>> summary_table() {
  std::vector<Column<SummaryRow>> columns;
  const auto text = [&](const char* name, std::function<std::string(const SummaryRow&)> f) {
    columns.push_back({name, {}, f});
  };
  const auto number = [&](const char* name, std::function<Measured(const SummaryRow&)> f) {
    columns.push_back({name, f, {}});
  };
  const auto measure = [&](const char* name, Measured RunMeasures::*m) {
    number(name, [m](const SummaryRow& r) { return r.strategy->mean.*m; });
  };
  const auto ratio = [&](const char* name, Measured StrategySummary::*m) {
    number(name, [m](const SummaryRow& r) { return r.strategy->*m; });
  };
  text("strategy", [](const SummaryRow& r) { return r.strategy->strategy; });
  text("runs", [](const SummaryRow& r) { return std::to_string(r.strategy->runs); });
  measure("job_s", &RunMeasures::job_s), measure("epoch_s", &RunMeasures::epoch_s);
  measure("train_s", &RunMeasures::train_s), measure("val_s", &RunMeasures::val_s);
  measure("val_share", &RunMeasures::val_share), measure("idle_gpu_s", &RunMeasures::idle_gpu_s);
  measure("comm_wait_s", &RunMeasures::comm_wait_s), measure("balance_gain", &RunMeasures::balance_gain);
  measure("steps", &RunMeasures::steps), measure("val_images", &RunMeasures::val_images);
  measure("peak_memory_mib", &RunMeasures::peak_memory_mib);
  measure("map50", &RunMeasures::map50), measure("map50_95", &RunMeasures::map50_95);
  measure("map50_95_delta", &RunMeasures::map50_95_delta);
  text("exact", [](const SummaryRow& r) { return r.strategy->exact; });
  ratio("speedup", &StrategySummary::speedup), ratio("speedup_low", &StrategySummary::speedup_low);
  ratio("speedup_high", &StrategySummary::speedup_high);
  text("verdict",
       [](const SummaryRow& r) { return std::string(r.strategy->verdict ? verdict_name(*r.strategy->verdict) : ""); });
  text("verdict_reason", [](const SummaryRow& r) {
    return r.strategy->is_baseline && !r.strategy->verdict ? "is the baseline" : joined(r.strategy->reasons);
  });
  text("failed_runs", [](const SummaryRow& r) { return std::to_string(r.strategy->failed_runs); });
  text("pairs", [](const SummaryRow& r) { return std::to_string(r.strategy->paired ? r.strategy->paired->pairs : 0); });
  text("outlier_runs", [](const SummaryRow& r) { return joined(r.strategy->outlier_runs); });
  number("sigma", [](const SummaryRow& r) { return of_pairs(r, &PairedComparison::sigma); });
  number("hodges_lehmann", [](const SummaryRow& r) { return of_pairs(r, &PairedComparison::hodges_lehmann); });
  number("minimum_detectable_effect",
         [](const SummaryRow& r) { return of_pairs(r, &PairedComparison::minimum_detectable_effect); });
  ratio("job_median_s", &StrategySummary::job_s_median), ratio("job_mad_s", &StrategySummary::job_s_mad);
  measure("val_share_max", &RunMeasures::val_share_max), measure("optimizer_steps", &RunMeasures::optimizer_steps);
  measure("train_images", &RunMeasures::train_images), measure("validations", &RunMeasures::validations);
  measure("map50_95_se", &RunMeasures::map50_95_se), measure("map50_95_bias", &RunMeasures::map50_95_bias);
  text("margin", [](const SummaryRow& r) { return fmt::format("{}", r.sweep->margin); });
  number("noise_floor", [](const SummaryRow& r) { return r.sweep->noise_floor; });
  return columns;
}

/// A time of the run, unless none of its times counts.
Measured time_of(const RunRecord& run, double seconds) {
  const std::string reason = reason_without_times(run);
  return reason.empty() ? Measured::of(seconds) : Measured::not_measured(reason);
}

/// One row of runs.csv.
struct RunRow {
  const RunRecord* run = nullptr;
  RunMeasures measures;
};

double late_epochs_of(const ValidationRecord& v) { return v.late_epochs; }
double late_seconds_of(const ValidationRecord& v) { return v.known_s - v.submitted_s; }

/// The largest delay of any result of a run.
Measured largest_delay(const RunRecord& run, double (*delay)(const ValidationRecord&)) {
  if (run.validations.empty()) return Measured::not_measured("no validation took place");
  if (const std::string reason = reason_without_times(run); !reason.empty()) return Measured::not_measured(reason);
  double largest = 0;
  for (const ValidationRecord& validation : run.validations) largest = std::max(largest, delay(validation));
  return Measured::of(largest);
}

std::vector<Column<RunRow>> runs_table() {
  std::vector<Column<RunRow>> columns;
  const auto text = [&](const char* name, std::function<std::string(const RunRecord&)> f) {
    columns.push_back({name, {}, [f](const RunRow& r) { return f(*r.run); }});
  };
  const auto truth = [](bool value) { return std::string(value ? "true" : "false"); };
  text("scenario", [](const RunRecord& r) { return r.spec.scenario; });
  text("run_id", [](const RunRecord& r) { return r.spec.run_id; });
  text("strategy", [](const RunRecord& r) { return r.spec.validation.name; });
  text("round", [](const RunRecord& r) { return std::to_string(r.spec.round); });
  text("order", [](const RunRecord& r) { return std::to_string(r.spec.order); });
  text("status", [](const RunRecord& r) { return r.status; });
  text("failure", [](const RunRecord& r) { return r.failure; });
  text("traced", [truth](const RunRecord& r) { return truth(r.spec.profile); });
  text("timing_comparable", [truth](const RunRecord& r) { return truth(r.timing_comparable); });
  text("invalid_reason",
       [](const RunRecord& r) { return joined(r.status == "complete" ? invalid_reasons(r) : r.invalid_reasons); });
  text("warnings", [](const RunRecord& r) { return joined(r.warnings); });
  text("ranks", [](const RunRecord& r) { return std::to_string(r.spec.ranks); });
  text("device", [](const RunRecord& r) { return to_string(r.spec.device); });
  text("placement", [](const RunRecord& r) { return to_string(r.spec.validation.placement); });
  text("interval", [](const RunRecord& r) { return std::to_string(r.spec.validation.interval); });
  text("exact", [](const RunRecord& r) { return r.exactness.exact; });
  text("first_difference", [](const RunRecord& r) { return r.exactness.first_difference; });
  // Of the last validation, as map50 is.
  const auto count = [&](const char* name, std::int64_t ValidationRecord::*value) {
    text(name, [value](const RunRecord& r) { return r.validations.empty() ? "" : std::to_string(r.validations.back().*value); });
  };
  count("detections", &ValidationRecord::detections), count("pixels", &ValidationRecord::pixels);
  count("candidate_limit_hits", &ValidationRecord::candidate_limit_hits);
  count("detection_limit_hits", &ValidationRecord::detection_limit_hits);
  text("weights_checksum",
       [](const RunRecord& r) { return r.train_checksums.empty() ? "" : r.train_checksums.back(); });
  text("skipped_validations", [](const RunRecord& r) { return std::to_string(r.skipped_validations.size()); });
  columns.push_back({"late_epochs", [](const RunRow& r) { return largest_delay(*r.run, late_epochs_of); }, {}});
  columns.push_back({"late_s", [](const RunRow& r) { return largest_delay(*r.run, late_seconds_of); }, {}});
  columns.push_back({"startup_s", [](const RunRow& r) { return time_of(*r.run, r.run->startup_s); }, {}});
  visit_measures([&](Measured RunMeasures::*m, const char* name) {
    columns.push_back({name, [m](const RunRow& r) { return r.measures.*m; }, {}});
  });
  return columns;
}

/// One row of phases.csv.
struct PhaseRow {
  const RunRecord* run = nullptr;
  const EpochRecord* epoch = nullptr;
  std::string phase;
  double seconds = 0;
};

/// GPU time of the row's phase; 0 where the window was traced and the phase launched nothing.
Measured gpu_time(const PhaseRow& row, double GpuPhaseRecord::*value) {
  const auto& traces = row.run->gpu_traces;
  const auto trace =
      std::find_if(traces.begin(), traces.end(), [&](const auto& t) { return t.rank == row.epoch->rank; });
  if (trace == traces.end()) return Measured::not_measured("not measured (untraced run)");
  if (!trace->available) return Measured::not_measured(trace->reason);
  if (row.epoch->epoch < trace->first_epoch) return Measured::not_measured("not measured (before the traced window)");
  const auto& phases = row.run->gpu_phases;
  const auto found = std::find_if(phases.begin(), phases.end(), [&](const auto& p) {
    return p.rank == row.epoch->rank && p.epoch == row.epoch->epoch && p.phase == row.phase;
  });
  return Measured::of(found == phases.end() ? 0 : (*found).*value);
}

std::vector<Column<PhaseRow>> phases_table() {
  std::vector<Column<PhaseRow>> columns;
  const auto text = [&](const char* name, std::function<std::string(const PhaseRow&)> f) {
    columns.push_back({name, {}, f});
  };
  text("scenario", [](const PhaseRow& r) { return r.run->spec.scenario; });
  text("run_id", [](const PhaseRow& r) { return r.run->spec.run_id; });
  text("strategy", [](const PhaseRow& r) { return r.run->spec.validation.name; });
  text("round", [](const PhaseRow& r) { return std::to_string(r.run->spec.round); });
  text("rank", [](const PhaseRow& r) { return std::to_string(r.epoch->rank); });
  text("epoch", [](const PhaseRow& r) { return std::to_string(r.epoch->epoch); });
  text("phase", [](const PhaseRow& r) { return r.phase; });
  columns.push_back({"phase_s", [](const PhaseRow& r) { return time_of(*r.run, r.seconds); }, {}});
  text("count", [](const PhaseRow& r) {
    const auto count = r.epoch->phase_count.find(r.phase);
    return count == r.epoch->phase_count.end() ? std::string() : std::to_string(count->second);
  });
  text("traced", [](const PhaseRow& r) { return std::string(r.run->spec.profile ? "true" : "false"); });
  const auto gpu = [&](const char* name, double GpuPhaseRecord::*value) {
    columns.push_back({name, [value](const PhaseRow& r) { return gpu_time(r, value); }, {}});
  };
  gpu("kernel_s", &GpuPhaseRecord::kernel_s), gpu("comm_s", &GpuPhaseRecord::comm_s);
  gpu("memcpy_s", &GpuPhaseRecord::memcpy_s);
  return columns;
}

}  // namespace

std::vector<std::string> summary_columns() { return names_of(summary_table()); }
std::vector<std::string> runs_columns() { return names_of(runs_table()); }
std::vector<std::string> phases_columns() { return names_of(phases_table()); }

std::string summary_csv(const SweepComparison& comparison) {
  std::vector<SummaryRow> rows;
  for (const StrategySummary& strategy : comparison.strategies) rows.push_back({&comparison, &strategy});
  return table_of(summary_table(), rows);
}

std::string runs_csv(const std::vector<RunRecord>& runs) {
  std::vector<RunRow> rows;
  for (const RunRecord& run : runs) {
    RunRow& row = rows.emplace_back(RunRow{&run, measure_run(run)});
    // A run that broke off has measured parts of a run, not a run.
    if (run.status == "complete") continue;
    visit_measures([&](Measured RunMeasures::*m, const char*) {
      row.measures.*m = Measured::not_measured("the run did not complete");
    });
  }
  return table_of(runs_table(), rows);
}

std::string phases_csv(const std::vector<RunRecord>& runs) {
  std::vector<PhaseRow> rows;
  for (const RunRecord& run : runs) {
    for (const EpochRecord& epoch : run.epochs) {
      for (const auto& [phase, seconds] : epoch.phase_s) rows.push_back({&run, &epoch, phase, seconds});
    }
  }
  return table_of(phases_table(), rows);
}

void write_csv_reports(const SweepComparison& comparison, const std::vector<RunRecord>& runs,
                       const std::filesystem::path& folder) {
  write_atomically(folder / "summary.csv", summary_csv(comparison));
  write_run_csv(runs, folder);
}

void write_run_csv(const std::vector<RunRecord>& runs, const std::filesystem::path& folder) {
  write_atomically(folder / "runs.csv", runs_csv(runs));
  write_atomically(folder / "phases.csv", phases_csv(runs));
}

}  // namespace valbench
