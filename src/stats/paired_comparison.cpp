#include "stats/paired_comparison.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "stats/quantiles.h"

namespace valbench {

double hodges_lehmann(std::span<const double> sample) {
  std::vector<double> averages;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    for (std::size_t j = i; j < sample.size(); ++j) averages.push_back((sample[i] + sample[j]) / 2);
  }
  return median(averages);
}

PairedComparison compare_paired(std::span<const double> baseline, std::span<const double> candidate,
                                double confidence) {
  if (baseline.size() != candidate.size() || baseline.empty()) {
    throw Error("paired samples hold " + std::to_string(baseline.size()) + " and " + std::to_string(candidate.size()) +
                " values: they must be as many, and at least one");
  }
  std::vector<double> log_ratios;
  for (std::size_t i = 0; i < baseline.size(); ++i) {
    const double log_ratio = std::log(baseline[i]) - std::log(candidate[i]);
    if (!std::isfinite(log_ratio)) {
      throw Error("pair " + std::to_string(i) + " of a comparison is " + std::to_string(baseline[i]) + " and " +
                  std::to_string(candidate[i]) + ": both must be positive and finite");
    }
    log_ratios.push_back(log_ratio);
  }
  PairedComparison result;
  result.pairs = static_cast<int>(log_ratios.size());
  const double centre = mean(log_ratios);
  result.ratio = result.low = result.high = std::exp(centre);
  result.hodges_lehmann = std::exp(hodges_lehmann(log_ratios));
  if (result.pairs < 2) return result;
  const boost::math::students_t distribution(result.pairs - 1);
  const double t = boost::math::quantile(distribution, 0.5 + confidence / 2);
  result.sigma = standard_deviation(log_ratios);
  const double standard_error = result.sigma / std::sqrt(static_cast<double>(result.pairs));
  result.half_width = t * standard_error;
  result.low = std::exp(centre - result.half_width);
  result.high = std::exp(centre + result.half_width);
  result.minimum_detectable_effect = std::expm1((t + boost::math::quantile(distribution, 0.8)) * standard_error);
  return result;
}

}  // namespace valbench
