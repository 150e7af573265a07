#include "report/console_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "report/report_text.h"

namespace valbench {
namespace {

/// One column of the table. `keep` orders what goes first when the terminal is too narrow: 0 never goes.
struct Column {
  std::vector<std::string> heading;  ///< Two lines.
  std::function<std::string(const StrategySummary&)> cell;
  int keep = 0;
  bool left = false;
};

std::string decimals(const Measured& m, int digits, bool sign = false) {
  if (!m.value) return "-";
  if (sign && *m.value == 0) return "0";
  return sign ? fmt::format("{:+.{}f}", *m.value, digits) : fmt::format("{:.{}f}", *m.value, digits);
}

std::string verdict_cell(const StrategySummary& s) {
  if (s.verdict) return std::string(verdict_name(*s.verdict));
  return "baseline";
}

std::string exact_cell(const StrategySummary& s) { return s.exact == "true" ? "yes" : s.exact == "false" ? "NO" : "-"; }

std::string interval_cell(const StrategySummary& s) {
  if (s.is_baseline || !s.speedup_low.value || !s.speedup_high.value) return "";
  return fmt::format("[{:.3f}, {:.3f}]", *s.speedup_low.value, *s.speedup_high.value);
}

std::vector<Column> columns_of(const SweepComparison& sweep) {
  const auto measure = [](Measured RunMeasures::*m) {
    return [m](const StrategySummary& s) { return duration_text(s.mean.*m); };
  };
  const auto accuracy = [](Measured RunMeasures::*m, int digits, bool sign) {
    return [=](const StrategySummary& s) { return decimals(s.mean.*m, digits, sign); };
  };
  return {
      {{"strategy", ""}, [](const StrategySummary& s) { return short_name(s.strategy); }, 0, true},
      {{"runs", ""}, [](const StrategySummary& s) { return std::to_string(s.runs); }, 1},
      {{"job", "s"}, measure(&RunMeasures::job_s)},
      {{"epoch", "s"}, measure(&RunMeasures::epoch_s), 3},
      {{"val", "s/epoch"}, measure(&RunMeasures::val_s), 4},
      {{"val", "share"},
       [](const StrategySummary& s) {
         return s.mean.val_share.value ? fmt::format("{:.0f} %", 100 * *s.mean.val_share.value) : std::string("-");
       }},
      {{"idle", sweep.spec.device == DeviceKind::cuda ? "GPU s" : "rank s"}, measure(&RunMeasures::idle_gpu_s), 5},
      {{"", "mAP50"}, accuracy(&RunMeasures::map50, 3, false), 2},
      {{"mAP", "50-95"}, accuracy(&RunMeasures::map50_95, 3, false)},
      {{"mAP", "error"}, accuracy(&RunMeasures::map50_95_delta, 4, true)},
      {{"", "exact"}, exact_cell},
      {{"speed-", "up"}, [](const StrategySummary& s) { return decimals(s.speedup, 3); }},
      {{"95 %", "interval"}, interval_cell},
      {{"verdict", ""}, verdict_cell, 0, true},
  };
}

struct Table {
  std::vector<Column> columns;
  std::vector<std::size_t> widths;
  std::size_t total() const {
    std::size_t sum = 0;
    for (const std::size_t width : widths) sum += width + 2;
    return sum - 2;
  }
};

Table laid_out(const SweepComparison& sweep) {
  Table table{columns_of(sweep), {}};
  for (const Column& column : table.columns) {
    std::size_t width = std::max(column.heading[0].size(), column.heading[1].size());
    for (const StrategySummary& s : sweep.strategies) width = std::max(width, column.cell(s).size());
    table.widths.push_back(width);
  }
  for (int priority = 1; table.total() > kReportWidth && priority <= 5; ++priority) {
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      if (table.columns[i].keep != priority) continue;
      table.columns.erase(table.columns.begin() + static_cast<std::ptrdiff_t>(i));
      table.widths.erase(table.widths.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
  }
  return table;
}

/// ANSI colour of a verdict.
const char* colour_of(const StrategySummary& s) {
  if (!s.verdict) return "\033[2m";
  switch (*s.verdict) {
    case Verdict::faster:
      return "\033[1;32m";
    case Verdict::slower:
      return "\033[31m";
    case Verdict::invalid:
      return "\033[1;31m";
    case Verdict::ambiguous:
      return "\033[33m";
    case Verdict::same:
      return "\033[36m";
  }
  return "";
}

using CellText = std::function<std::string(const Column&)>;

void append_line(const Table& table, const CellText& text, const char* last_colour, std::string& out) {
  std::string line;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const std::string cell = text(table.columns[i]);
    if (i > 0) line += "  ";
    const bool last = i + 1 == table.columns.size();
    if (last && last_colour != nullptr) {
      line += last_colour + cell + "\033[0m";
    } else {
      line += table.columns[i].left ? fmt::format("{:<{}}", cell, table.widths[i])
                                    : fmt::format("{:>{}}", cell, table.widths[i]);
    }
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line + "\n";
}

std::string title(const SweepComparison& sweep) {
  int fewest = sweep.strategies.front().runs, most = fewest;
  for (const StrategySummary& s : sweep.strategies) {
    fewest = std::min(fewest, s.runs);
    most = std::max(most, s.runs);
  }
  const std::string runs = fewest == most ? std::to_string(most) : fmt::format("{} to {}", fewest, most);
  return fmt::format("{}, {} {} per strategy", work_text(sweep.spec, sweep.machine), runs, most == 1 ? "run" : "runs");
}

}  // namespace

std::string console_report(const SweepComparison& comparison, bool colour) {
  std::string out = (colour ? "\033[1m" + title(comparison) + "\033[0m" : title(comparison)) + "\n\n";
  const Table table = laid_out(comparison);
  append_line(
      table, [](const Column& c) { return c.heading[0]; }, nullptr, out);
  append_line(
      table, [](const Column& c) { return c.heading[1]; }, nullptr, out);
  out += std::string(table.total(), '-') + "\n";
  for (const StrategySummary& s : comparison.strategies) {
    append_line(
        table, [&](const Column& c) { return c.cell(s); }, colour ? colour_of(s) : nullptr, out);
  }
  out += "\n";
  for (const std::string& sentence : report_sentences(comparison)) append_wrapped(sentence, out);
  return out;
}

}  // namespace valbench
