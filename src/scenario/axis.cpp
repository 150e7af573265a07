#include "scenario/axis.h"

namespace valbench {

std::vector<ValidationSpec> multiply(const std::vector<ValidationSpec>& strategies, const std::vector<Axis>& axes) {
  std::vector<ValidationSpec> points = strategies;
  for (const Axis& axis : axes) {
    std::vector<ValidationSpec> multiplied;
    for (const ValidationSpec& point : points) {
      for (const AxisValue& value : axis.values) {
        ValidationSpec next = point;
        value.apply(next);
        next.name = point.name + " " + axis.key + "=" + value.text;
        multiplied.push_back(std::move(next));
      }
    }
    points = std::move(multiplied);
  }
  return points;
}

}  // namespace valbench
