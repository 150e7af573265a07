#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "plots/axes.h"
#include "plots/plots.h"

namespace valbench {
namespace {

using namespace plots;

constexpr std::size_t kMaxNamed = 20;  // classes in the legend

void check_length(const CurvesPlot& plot, const Curve& curve) {
  if (curve.y.size() == plot.x.size()) return;
  throw InputError(
      fmt::format("plot `{}`: curve `{}` has {} values, but there are {} x values; give every curve one value an x",
                  plot.title, curve.label, curve.y.size(), plot.x.size()));
}

void draw_legend(Canvas& canvas, Point at, double width, const CurvesPlot& plot) {
  double y = at.y + 8;
  const auto row = [&](const std::string& label, Color color, double thickness, bool bold) {
    const TextStyle style{.size = 8.5, .bold = bold};
    canvas.line({at.x, y}, {at.x + 22, y}, color, thickness);
    canvas.text({at.x + 30, y}, shortened(label, style, width - 30), style);
    y += 20;
  };
  row(plot.mean.label, kAccent, 3.5, true);
  if (plot.classes.size() > kMaxNamed) {
    row(fmt::format("{} classes", plot.classes.size()), mix(kMuted, kWhite, 0.5), 1, false);
    return;
  }
  for (std::size_t i = 0; i < plot.classes.size(); ++i) row(plot.classes[i].label, class_color(i + 1), 1.5, false);
}

}  // namespace

void write_curves_png(const std::filesystem::path& file, const CurvesPlot& plot) {
  for (const Curve& curve : plot.classes) check_length(plot, curve);
  check_length(plot, plot.mean);
  Canvas canvas(1100, 720);
  const Axes axes({80, 56, 740, 590}, {0, 1}, {0, 1});
  axes.draw(canvas, {plot.title, plot.x_label, plot.y_label}, 10, 10);
  const bool named = plot.classes.size() <= kMaxNamed;
  for (std::size_t i = 0; i < plot.classes.size(); ++i) {
    axes.plot(canvas, plot.x, plot.classes[i].y, named ? class_color(i + 1) : mix(class_color(i + 1), kWhite, 0.55),
              named ? 1.5 : 1);
  }
  axes.plot(canvas, plot.x, plot.mean.y, kAccent, 3.5);
  draw_legend(canvas, {846, 56}, 240, plot);
  canvas.write(file);
}

}  // namespace valbench
