/// \file
/// Golden files and the comparison with them. Needs nlohmann_json.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/deviation_report.h"

namespace valbench::test {

/// VALBENCH_GOLDEN, or ../shared/golden beside the project.
inline std::filesystem::path golden_folder() {
  if (const char* folder = std::getenv("VALBENCH_GOLDEN"); folder != nullptr) return folder;
  const char* source = std::getenv("VALBENCH_SOURCE");
  return std::filesystem::path(source != nullptr ? source : ".") / ".." / "shared" / "golden";
}

/// Every JSON file of the golden folder whose name starts with `kind`, sorted; empty without the folder.
inline std::vector<std::filesystem::path> golden_files(const std::string& kind) {
  std::vector<std::filesystem::path> files;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder(), missing)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kind) && name.ends_with(".json")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

inline nlohmann::json read_json(const std::filesystem::path& file) {
  std::ifstream in(file);
  return nlohmann::json::parse(in);
}

/// Collects deviations by name; each is held against absolute + relative * |expected|. print_and_check() prints the
/// worst of every name beside its tolerance and fails the test case where it is exceeded.
class Deviations {
 public:
  void add(const std::string& name, double actual, double expected, double absolute, double relative) {
    const double deviation = std::abs(actual - expected), tolerance = absolute + relative * std::abs(expected);
    Worst& worst = worst_[name];
    const double ratio = deviation == 0 ? 0 : deviation / tolerance;
    ++worst.count;
    if (worst.count > 1 && ratio <= worst.ratio) return;
    worst = {.count = worst.count,
             .ratio = std::isnan(ratio) ? INFINITY : ratio,
             .deviation = deviation,
             .tolerance = tolerance};
  }

  void print_and_check(const std::string& title) const {
    for (const auto& [name, worst] : worst_) {
      report_deviation(title + ": " + name, worst.deviation, worst.tolerance, worst.count);
      INFO(title << ": " << name);
      CHECK(worst.ratio <= 1);
    }
  }

 private:
  struct Worst {
    int count = 0;
    double ratio = 0, deviation = 0, tolerance = 0;
  };
  std::map<std::string, Worst> worst_;
};

}  // namespace valbench::test
