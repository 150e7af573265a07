/// \file
/// How long a sweep still takes, from the runs that are done.
#pragma once
#include <map>
#include <string>
#include <vector>

namespace valbench {

/// Durations of runs by strategy. A strategy not yet seen takes as long as the mean of all.
class SweepEta {
 public:
  void finished(const std::string& strategy, double seconds);
  /// Seconds for these runs; negative when nothing is known.
  double estimate_s(const std::vector<std::string>& strategies) const;
  /// Seconds left: the rest of the current run (`elapsed_s` so far, `fraction` of it done), then `waiting`. Negative =
  /// not known.
  double left_s(const std::string& current, double elapsed_s, double fraction,
                const std::vector<std::string>& waiting) const;

 private:
  double mean_s(const std::string& strategy) const;
  struct Sum {
    double seconds = 0;
    int runs = 0;
  };
  std::map<std::string, Sum> by_strategy_;
  Sum all_;
};

}  // namespace valbench
