#include "plots/axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace valbench::plots {

Range range_of(std::span<const double> values) {
  double low = INFINITY, high = -INFINITY;
  for (const double value : values) {
    if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
  }
  if (low > high) return {0, 1};
  const double span = high - low;
  const double margin = span > 0 ? span * 0.06 : std::max(std::abs(high) * 0.1, 1e-3);
  return {low >= 0 && low < margin ? 0 : low - margin, high + margin};
}

std::vector<double> round_ticks(Range range, int count, bool whole) {
  const double rough = (range.high - range.low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  double step = power * 10;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * 0.999) {
      step = factor * power;
      break;
    }
  }
  if (whole) step = std::max(step, 1.0);
  std::vector<double> ticks;
  for (double k = std::ceil(range.low / step - 1e-9); k * step <= range.high + step * 1e-9; ++k)
    ticks.push_back(k * step);
  return ticks;
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  const int place = static_cast<int>(std::floor(std::log10(step) + 1e-9)), decimals = std::max(0, -place);
  double largest = step;
  for (const double tick : ticks) largest = std::max(largest, std::abs(tick));
  const int digits = std::max(3, static_cast<int>(std::floor(std::log10(largest) + 1e-9)) - place + 1);
  std::vector<std::string> labels;
  for (const double tick : ticks) {
    labels.push_back(decimals > 5 || std::abs(tick) >= 1e6 ? fmt::format("{:.{}g}", tick, digits)
                                                           : fmt::format("{:.{}f}", tick + 0.0, decimals));
  }
  return labels;
}

Point Axes::at(double x, double y) const {
  const double right = std::clamp((x - x_.low) / (x_.high - x_.low), 0.0, 1.0);
  const double up = std::clamp((y - y_.low) / (y_.high - y_.low), 0.0, 1.0);
  return {area_.x + right * area_.w, area_.y + (1 - up) * area_.h};
}

void Axes::draw(Canvas& canvas, const AxesLabels& labels, int x_ticks, int y_ticks) const {
  const double bottom = area_.y + area_.h, right = area_.x + area_.w;
  const auto xs = round_ticks(x_, x_ticks, labels.whole_x), ys = round_ticks(y_, y_ticks);
  const auto x_texts = tick_labels(xs), y_texts = tick_labels(ys);
  double widest = 0;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const double x = at(xs[i], y_.low).x;
    canvas.line({x, area_.y}, {x, bottom}, kGrid);
    canvas.text({x, bottom + 13}, x_texts[i], {.size = 8, .color = kMuted, .align = Align::centre});
  }
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const double y = at(x_.low, ys[i]).y;
    const TextStyle style{.size = 8, .color = kMuted, .align = Align::right};
    canvas.line({area_.x, y}, {right, y}, kGrid);
    canvas.text({area_.x - 7, y}, y_texts[i], style);
    widest = std::max(widest, Canvas::text_width(y_texts[i], style));
  }
  canvas.frame(area_, mix(kMuted, kWhite, 0.4));
  canvas.text({area_.x + area_.w / 2, area_.y - 15}, labels.title, {.size = 10, .align = Align::centre, .bold = true});
  canvas.text({area_.x + area_.w / 2, bottom + 34}, labels.x, {.size = 9, .align = Align::centre});
  canvas.vertical_text({area_.x - widest - 22, area_.y + area_.h / 2}, labels.y, {.size = 9, .align = Align::centre});
}

void Axes::plot(Canvas& canvas, std::span<const double> x, std::span<const double> y, Color color,
                double thickness) const {
  std::vector<Point> part;
  const auto flush = [&] {
    if (part.size() == 1) canvas.disc(part.front(), thickness, color);
    canvas.polyline(part, color, thickness);
    part.clear();
  };
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (std::isfinite(y[i]))
      part.push_back(at(x[i], y[i]));
    else
      flush();
  }
  flush();
}

}  // namespace valbench::plots
