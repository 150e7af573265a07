#include <cmath>
#include <limits>

#include "base/error.h"
#include "stats/paired_comparison.h"
#include "stats/quantiles.h"
#include "tests/support/catch.h"

using namespace valbench;

TEST_CASE("quantiles interpolate between order statistics") {
  const std::vector<double> sample{4, 1, 3, 2};
  CHECK(median(sample) == 2.5);
  CHECK(quantile(sample, 0) == 1);
  CHECK(quantile(sample, 1) == 4);
  CHECK(quantile(sample, 0.25) == 1.75);
  CHECK(mean(sample) == 2.5);
  CHECK(standard_deviation(sample) == Approx(std::sqrt(5.0 / 3)));
  CHECK_THROWS_AS(median({}), Error);
  CHECK_THROWS_AS(quantile(sample, 1.5), Error);
}

TEST_CASE("a modified z-score finds the outlier and survives a spread of zero") {
  const std::vector<double> sample{1, 2, 3, 4, 100};
  CHECK(median_absolute_deviation(sample) == 1);
  CHECK(modified_z_scores(sample)[4] == Approx(0.6745 * 97));
  CHECK(modified_z_scores(sample)[2] == 0);
  CHECK(modified_z_scores(std::vector<double>{1, 1, 1, 2})[3] == std::numeric_limits<double>::infinity());
}

TEST_CASE("the interval of paired log-ratios is Student's") {
  // Log-ratios 0.01, 0.02, 0.03, 0.04: mean 0.025, s = 0.0129099, t(3, 0.975) = 3.182446.
  std::vector<double> baseline, candidate;
  for (const double d : {0.01, 0.02, 0.03, 0.04}) {
    baseline.push_back(10 * std::exp(d));
    candidate.push_back(10);
  }
  const PairedComparison c = compare_paired(baseline, candidate);
  CHECK(c.pairs == 4);
  CHECK(c.ratio == Approx(std::exp(0.025)));
  CHECK(c.sigma == Approx(0.01290994));
  CHECK(c.half_width == Approx(3.182446 * 0.01290994 / 2).epsilon(1e-6));
  CHECK(c.low == Approx(std::exp(0.025 - 0.0205426)).epsilon(1e-6));
  CHECK(c.hodges_lehmann == Approx(std::exp(0.025)));
  // t(3, 0.8) = 0.978472
  CHECK(c.minimum_detectable_effect == Approx(std::expm1((3.182446 + 0.978472) * 0.01290994 / 2)).epsilon(1e-6));
}

TEST_CASE("the Hodges-Lehmann estimate is the median of the Walsh averages") {
  CHECK(hodges_lehmann(std::vector<double>{1, 2, 9}) == 3.5);
}

TEST_CASE("samples that cannot be paired are refused") {
  CHECK_THROWS_AS(compare_paired(std::vector<double>{1, 2}, std::vector<double>{1}), Error);
  CHECK_THROWS_AS(compare_paired(std::vector<double>{0}, std::vector<double>{1}), Error);
  CHECK(compare_paired(std::vector<double>{2}, std::vector<double>{1}).ratio == Approx(2));
}
