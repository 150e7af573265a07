#include "stats/quantiles.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace valbench {
namespace {

void require_values(std::span<const double> sample) {
  if (sample.empty()) throw Error("a statistic of no values was asked for: give it at least one value");
}

}  // namespace

double mean(std::span<const double> sample) {
  require_values(sample);
  return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

double standard_deviation(std::span<const double> sample) {
  const double centre = mean(sample);
  if (sample.size() == 1) return 0;
  double squares = 0;
  for (const double x : sample) squares += (x - centre) * (x - centre);
  return std::sqrt(squares / static_cast<double>(sample.size() - 1));
}

double quantile(std::span<const double> sample, double q) {
  require_values(sample);
  if (!(q >= 0 && q <= 1)) throw Error("quantile " + std::to_string(q) + " is outside 0..1");
  std::vector<double> sorted(sample.begin(), sample.end());
  std::sort(sorted.begin(), sorted.end());
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double median(std::span<const double> sample) { return quantile(sample, 0.5); }

double median_absolute_deviation(std::span<const double> sample) {
  const double centre = median(sample);
  std::vector<double> deviations;
  for (const double x : sample) deviations.push_back(std::abs(x - centre));
  return median(deviations);
}

std::vector<double> modified_z_scores(std::span<const double> sample) {
  const double centre = median(sample), spread = median_absolute_deviation(sample);
  std::vector<double> scores;
  for (const double x : sample) {
    if (x == centre) {
      scores.push_back(0);
    } else if (spread == 0) {
      scores.push_back(std::copysign(std::numeric_limits<double>::infinity(), x - centre));
    } else {
      scores.push_back(0.6745 * (x - centre) / spread);
    }
  }
  return scores;
}

}  // namespace valbench
