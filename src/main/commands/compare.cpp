#include "compare/comparison.h"

#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "main/commands/commands.h"
#include "record/run_store.h"
#include "report/console_report.h"

namespace valbench {
namespace {

/// The complete runs of a folder, which must be of one strategy.
std::vector<RunRecord> runs_of_one_strategy(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder))
    throw InputError(folder.string() + ": no such folder. Give a folder with run.json in or below it");
  auto records = read_runs(folder);
  if (records.empty()) throw InputError(folder.string() + ": no complete run in it");
  for (const auto& record : records) {
    const std::string &first = records.front().spec.validation.name, &other = record.spec.validation.name;
    if (other != first)
      throw InputError(folder.string() + ": holds runs of several strategies (" + first + ", " + other +
                       "). Give one run folder");
  }
  return records;
}

}  // namespace

int run_compare(const CompareOptions& options) {
  const auto baseline = runs_of_one_strategy(options.baseline), candidate = runs_of_one_strategy(options.candidate);
  const auto comparison =
      compare_records(baseline, options.baseline.string(), candidate, options.candidate.string(), options.margin);
  print_line(console_report(comparison, ::isatty(STDOUT_FILENO) == 1));
  const auto& verdict = comparison.strategies.back().verdict;
  return exit_code(verdict.value_or(Verdict::invalid));
}

}  // namespace valbench
