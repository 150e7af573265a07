/// \file
/// How long a rank may wait in a collective before the process group itself gives up. No torch, so that the controller can warn too.
#pragma once
#include <fmt/format.h>

#include <string>

namespace valbench {

/// Rank 0's validation may be long; dead ranks are found by the controller and hung ones by the collective checker, not by this.
inline constexpr double kGroupTimeout_s = 3 * 3600;

/// What to tell who lets ranks wait for a validation, measured or guessed to take `validation_s`; empty while that is less than
/// half of the time-out. Half, because later validations may take longer than the first: a trained model finds more.
inline std::string group_timeout_warning(double validation_s) {
  if (validation_s < kGroupTimeout_s / 2) return {};
  return fmt::format("a validation takes about {:.0f} s, in which other ranks wait in a collective, whose time-out of {:.0f} s ends the run: "
                     "validate with placement sharded, on a subset, or with a larger batch_size",
                     validation_s, kGroupTimeout_s);
}

}  // namespace valbench
