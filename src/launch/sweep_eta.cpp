#include "launch/sweep_eta.h"

#include <algorithm>

namespace valbench {

void SweepEta::finished(const std::string& strategy, double seconds) {
  for (Sum* sum : {&by_strategy_[strategy], &all_}) {
    sum->seconds += seconds;
    ++sum->runs;
  }
}

double SweepEta::mean_s(const std::string& strategy) const {
  const auto found = by_strategy_.find(strategy);
  const Sum& sum = found != by_strategy_.end() ? found->second : all_;
  return sum.seconds / sum.runs;
}

double SweepEta::estimate_s(const std::vector<std::string>& strategies) const {
  if (all_.runs == 0) return -1;
  double total = 0;
  for (const auto& strategy : strategies) total += mean_s(strategy);
  return total;
}

double SweepEta::left_s(const std::string& current, double elapsed_s, double fraction,
                        const std::vector<std::string>& waiting) const {
  constexpr double kEnough = 0.05;  // Before that a run's own pace is mostly its start-up.
  if (all_.runs > 0) return std::max(0.0, mean_s(current) - elapsed_s) + estimate_s(waiting);
  if (fraction < kEnough) return -1;
  const double whole_s = elapsed_s / fraction;
  return whole_s - elapsed_s + whole_s * static_cast<double>(waiting.size());
}

}  // namespace valbench
