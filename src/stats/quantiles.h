/// \file
/// Descriptions of a sample. Pure; none of them sorts or changes its argument. Empty samples throw Error.
#pragma once
#include <span>
#include <vector>

namespace valbench {

double mean(std::span<const double> sample);
/// Standard deviation with n - 1; 0 for one value.
double standard_deviation(std::span<const double> sample);
/// Quantile with linear interpolation between order statistics (Hyndman and Fan's type 7); `q` in [0, 1].
double quantile(std::span<const double> sample, double q);
double median(std::span<const double> sample);
/// Median of the absolute deviations from the median, not scaled.
double median_absolute_deviation(std::span<const double> sample);
/// 0.6745 (x - median) / MAD per value (Iglewicz and Hoaglin); above 3.5 counts as an outlier. Where the MAD is 0,
/// values at the median score 0 and all others infinity.
std::vector<double> modified_z_scores(std::span<const double> sample);

}  // namespace valbench
