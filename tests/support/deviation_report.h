/// \file
/// The one place where a test says how far a number lies from where it should be. tests/parity/parity_table.py collects
/// the rows.
#pragma once
#include <errno.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

namespace valbench::test {

/// For a deviation that is only reported: nothing is claimed about it.
inline constexpr double kNoTolerance = std::numeric_limits<double>::quiet_NaN();

/// Prints the largest deviation of a check beside its tolerance; where VALBENCH_DEVIATIONS names a file, appends the row
/// `program, check, tolerance (or nothing), deviation, values`, separated by tabs. The caller does the checking.
inline void report_deviation(const std::string& check, double deviation, double tolerance, long long values = 1) {
  const bool held = !std::isnan(tolerance);
  if (held) {
    std::printf("%s: largest deviation %.3g, tolerance %.3g (%lld values)\n", check.c_str(), deviation, tolerance, values);
  } else {
    std::printf("%s: largest deviation %.3g, no tolerance (%lld values)\n", check.c_str(), deviation, values);
  }
  const char* file = std::getenv("VALBENCH_DEVIATIONS");
  if (file == nullptr) return;
  std::ofstream out(file, std::ios::app);
  out.precision(17);
  out << program_invocation_short_name << '\t' << check << '\t';
  if (held) out << tolerance;
  out << '\t' << deviation << '\t' << values << '\n';
}

}  // namespace valbench::test
