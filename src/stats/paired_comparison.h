/// \file
/// Two samples measured in pairs (one pair per round): the ratio between them, with its interval.
#pragma once
#include <span>

namespace valbench {

/// Estimate of the ratio baseline / candidate. Ratios are back-transformed means of logarithms; 1.05 reads "the
/// candidate is 1.05 times as fast".
struct PairedComparison {
  int pairs = 0;
  double ratio = 1;                      ///< exp of the mean log-ratio.
  double low = 1, high = 1;              ///< t-interval; equal to ratio with one pair, where no interval exists.
  double hodges_lehmann = 1;             ///< exp of the median of the Walsh averages: the robust companion.
  double sigma = 0;                      ///< Standard deviation of the log-ratios (0.01 = 1 % from pair to pair).
  double half_width = 0;                 ///< Half of the interval on the logarithmic scale.
  double minimum_detectable_effect = 0;  ///< Relative effect found with power 0.8 at this sigma and number of pairs.
};

/// t-interval over ln(baseline[i] / candidate[i]). Throws Error when the lengths differ, are 0, or a value is not
/// positive and finite.
PairedComparison compare_paired(std::span<const double> baseline, std::span<const double> candidate,
                                double confidence = 0.95);

/// Median of all (x_i + x_j) / 2, i <= j.
double hodges_lehmann(std::span<const double> sample);

}  // namespace valbench
