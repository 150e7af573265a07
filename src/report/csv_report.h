/// \file
/// The comparison as CSV: summary.csv, runs.csv, phases.csv (columns: results/README.md).
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "compare/comparison.h"

namespace valbench {

/// The first column of every row of every CSV file. Raised when a column changes its meaning or goes.
inline constexpr int kCsvSchemaVersion = 1;

/// Header and rows, RFC 4180 quoting, LF line ends. An empty cell means "not measured" and the column's `_reason` says
/// why.
std::string summary_csv(const SweepComparison& comparison);
std::string runs_csv(const std::vector<RunRecord>& runs);
std::string phases_csv(const std::vector<RunRecord>& runs);

/// Column names in order.
std::vector<std::string> summary_columns();
std::vector<std::string> runs_columns();
std::vector<std::string> phases_columns();

/// Writes the three files into `folder`, each by rename. Throws RecordError with the file and the system's reason.
void write_csv_reports(const SweepComparison& comparison, const std::vector<RunRecord>& runs,
                       const std::filesystem::path& folder);
/// runs.csv and phases.csv alone: what there is to say about runs that cannot be compared.
void write_run_csv(const std::vector<RunRecord>& runs, const std::filesystem::path& folder);

}  // namespace valbench
