/// \file
/// A pair of axes in a part of a canvas: frame, grid, ticks, labels, and the way from values to pixels.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "plots/canvas.h"

namespace valbench::plots {

struct Range {
  double low, high;
};

/// A little more than what the finite values span; never empty.
Range range_of(std::span<const double> values);

/// Round numbers (1, 2 or 5 times a power of ten apart) inside the range, about `count` of them. \param whole no fractions.
std::vector<double> round_ticks(Range range, int count, bool whole = false);

/// Ticks as text with as many digits as tell them apart.
std::vector<std::string> tick_labels(const std::vector<double>& ticks);

struct AxesLabels {
  std::string title, x, y;
  bool whole_x = false;  ///< X counts something, such as epochs.
};

class Axes {
 public:
  Axes(Rect area, Range x, Range y) : area_(area), x_(x), y_(y) {}

  const Rect& area() const { return area_; }
  Point at(double x, double y) const;
  /// Grid, frame, ticks and labels; before the data.
  void draw(Canvas& canvas, const AxesLabels& labels, int x_ticks = 5, int y_ticks = 5) const;
  /// A line through the points; NaN breaks it. Values outside the range are held at its edge.
  void plot(Canvas& canvas, std::span<const double> x, std::span<const double> y, Color color, double thickness) const;

 private:
  Rect area_;
  Range x_, y_;
};

}  // namespace valbench::plots
