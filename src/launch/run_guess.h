/// \file
/// How long a run may take, before any run of the sweep has been made.
#pragma once
#include <cstdint>

#include "scenario/run_spec.h"

namespace valbench {

/// Images of a data set.
struct ImageCounts {
  std::int64_t train = 0, val = 0;
};

/// Seconds of one run from arithmetic and speeds that are usual (CPU cores of 2023, a data-centre GPU): right within a
/// factor of three, no more.
double guess_run_s(const RunSpec& spec, const ImageCounts& images);

/// The same for one validation, were rank 0 to make it alone.
double guess_validation_s(const RunSpec& spec, const ImageCounts& images);

}  // namespace valbench
