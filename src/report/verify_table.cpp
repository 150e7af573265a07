#include "report/verify_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace valbench {
namespace {

using Row = std::array<std::string, 8>;

std::string exact_text(const RunRecord& run) {
  if (run.status != "complete") return run.status;
  if (run.exactness.exact == "true") return "yes";
  return run.exactness.exact == "false" ? "NO" : "not claimed";
}

Row row_of(const RunRecord& run) {
  Row row{run.spec.validation.name, exact_text(run), "-", "-", "-", "-", "-", run.exactness.unlike_full_set};
  if (run.validations.empty()) return row;
  const ValidationRecord& last = run.validations.back();
  row[2] = std::to_string(run.exactness.checked_epochs.size()) + "/" + std::to_string(run.validations.size());
  row[3] = std::to_string(last.images);
  row[4] = std::to_string(last.detections);
  row[5] = fmt::format("{} + {}", last.candidate_limit_hits, last.detection_limit_hits);
  if (run.exactness.map50_95_delta.value) row[6] = fmt::format("{:+.5f}", *run.exactness.map50_95_delta.value);
  return row;
}

}  // namespace

bool holds_what_it_claims(const RunRecord& run) { return run.exactness.exact != "false" && run.invalid_reasons.empty(); }

std::string verify_table(const std::vector<RunRecord>& runs) {
  std::vector<Row> rows{{"strategy", "exact", "checked", "images", "detections", "NMS limit hits", "mAP50-95 to full fp32", "because of"}};
  for (const RunRecord& run : runs) rows.push_back(row_of(run));
  Row::size_type columns = rows[0].size();
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      std::size_t width = 0;
      for (const Row& other : rows) width = std::max(width, other[c].size());
      line += c < 2 || c + 1 == columns ? fmt::format("{:<{}}  ", row[c], width) : fmt::format("{:>{}}  ", row[c], width);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  for (const RunRecord& run : runs) {
    const std::string& name = run.spec.validation.name;
    if (!run.failure.empty()) text += fmt::format("\n{}: {}", name, run.failure);
    if (!run.exactness.first_difference.empty()) text += fmt::format("\n{}: first difference: {}", name, run.exactness.first_difference);
    for (const std::string& reason : run.invalid_reasons) text += fmt::format("\n{}: INVALID: {}", name, reason);
  }
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace valbench
