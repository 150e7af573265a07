/// \file
/// Axes: keys of a strategy with the values that it takes in turn.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "scenario/run_spec.h"

namespace valbench {

/// One value of an axis, as a change to a strategy.
struct AxisValue {
  std::string text;  ///< As written, for names: `16`.
  std::function<void(ValidationSpec&)> apply;
};

/// A key and its values.
struct Axis {
  std::string key;
  std::vector<AxisValue> values;
};

/// Every strategy with every combination of the axes' values; the first axis varies slowest. Names become
/// `sharded batch_size=16 precision=fp32`.
std::vector<ValidationSpec> multiply(const std::vector<ValidationSpec>& strategies, const std::vector<Axis>& axes);

}  // namespace valbench
