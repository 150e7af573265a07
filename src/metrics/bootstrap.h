/// \file
/// How far a mean average precision moves with the choice of images.
#pragma once
#include <cstdint>

#include "metrics/detection.h"

namespace valbench {

/// Standard errors of the metrics of one validation.
struct StandardErrors {
  double map50 = 0, map50_95 = 0;
  double map50_95_bias = 0;  ///< Mean of the resamples minus the validation's own: how far sets of this size are off on average.
};

/// A standard error from n resamples scatters by 1 / sqrt(2 n) of itself: 5 %.
inline constexpr int kBootstrapResamples = 200;

/// Standard deviation of the metrics over `resamples` sets of as many images, drawn with replacement (Efron 1979). `matches` are in
/// canonical order. Equal bits for any number of threads. Throws Error with fewer than two images or resamples.
StandardErrors bootstrap_standard_errors(const MatchSet& matches, int resamples, std::uint64_t seed, int threads);

}  // namespace valbench
