// Standard errors of the metrics (metrics/bootstrap.h).
#include "metrics/bootstrap.h"

#include <cmath>

#include "base/error.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

/// Images of one label each; the first `found` have their object found at every threshold, the others have no detection.
MatchSet found_of(int found, int images) {
  MatchSet matches;
  for (int i = 0; i < images; ++i) {
    const bool hit = i < found;
    matches.images.push_back({i, hit ? 1U : 0U, 1});
    if (hit) matches.detections.push_back({0.9F, 0, 0x3ff});
    matches.label_classes.push_back(0);
  }
  return matches;
}

}  // namespace

TEST_CASE("the bootstrap's standard error is that of a share where the metric is one") {
  // Precision is 1 up to the share p of objects found, and YOLOv5's envelope falls from there to 0 at recall 1: AP = (1 + p) / 2, so that
  // its standard error is half of the share's, sqrt(p (1 - p) / n).
  const StandardErrors errors = bootstrap_standard_errors(found_of(200, 400), 400, 1, 1);
  CHECK(errors.map50 == Approx(std::sqrt(0.25 / 400) / 2).epsilon(0.15));
  CHECK(errors.map50 == Approx(errors.map50_95));
  // The metric is linear in the share, so that resampling moves it in neither direction: four standard errors of a mean of 400.
  CHECK(std::abs(errors.map50_95_bias) < 4 * errors.map50_95 / 20);
}

TEST_CASE("the bootstrap's standard error is 0 where all images are alike, and equal for any number of threads") {
  CHECK(bootstrap_standard_errors(found_of(50, 50), 20, 1, 1).map50_95 < 1e-15);
  const MatchSet matches = found_of(10, 30);
  const StandardErrors one = bootstrap_standard_errors(matches, 50, 7, 1), three = bootstrap_standard_errors(matches, 50, 7, 3);
  CHECK(one.map50 == three.map50);
  CHECK(one.map50_95 == three.map50_95);
  CHECK(one.map50 > 0);
  CHECK(bootstrap_standard_errors(matches, 50, 8, 1).map50 != one.map50);
}

TEST_CASE("one image has no bootstrap") { CHECK_THROWS_AS(bootstrap_standard_errors(found_of(1, 1), 10, 0, 1), Error); }
