/// \file
/// Golden files: where they are, and the largest deviation printed beside its tolerance.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/support/catch.h"

/// VALBENCH_GOLDEN, or ../shared/golden beside the project.
inline std::filesystem::path golden_folder() {
  if (const char* folder = std::getenv("VALBENCH_GOLDEN"); folder != nullptr && *folder != '\0') return folder;
  const char* source = std::getenv("VALBENCH_SOURCE");
  return std::filesystem::path(source != nullptr ? source : ".") / ".." / "shared" / "golden";
}
inline bool golden_available() { return std::filesystem::is_directory(golden_folder()); }
inline std::string golden_missing() {
  return "needs the golden numbers at " + golden_folder().string() + " (or set VALBENCH_GOLDEN)";
}

inline nlohmann::json read_json(const std::filesystem::path& file) { return nlohmann::json::parse(valbench::read_file(file)); }

/// Every golden file whose name starts and ends so: another folder of the same form can be put in its place.
inline std::vector<std::filesystem::path> golden_files(const std::string& prefix, const std::string& suffix) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix) && name.ends_with(suffix)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  REQUIRE(!files.empty());
  return files;
}

/// The largest absolute deviation seen, held against a tolerance.
class Deviation {
 public:
  Deviation(std::string what, double tolerance) : what_(std::move(what)), tolerance_(tolerance) {}
  void add(double difference) {
    // Written so that NaN counts as the worst deviation.
    if (!(std::abs(difference) <= largest_)) largest_ = std::isnan(difference) ? INFINITY : std::abs(difference);
    ++count_;
  }
  void add_relative(double ours, double golden) { add((ours - golden) / std::max(std::abs(golden), 1e-12)); }
  void print(const std::filesystem::path& file, const std::string& where) const {
    if (count_ == 0) return;
    std::printf("parity | %s | %s | %s | tolerance %.3g | largest deviation %.3g | %lld values\n", file.filename().c_str(),
                where.c_str(), what_.c_str(), tolerance_, largest_, static_cast<long long>(count_));
  }
  void check(const std::filesystem::path& file, const std::string& where) const {
    print(file, where);
    INFO(file.filename().string() << " " << where << " " << what_);
    if (count_ > 0) CHECK(largest_ <= tolerance_);
  }

 private:
  std::string what_;
  double tolerance_;
  double largest_ = 0;
  long long count_ = 0;
};
