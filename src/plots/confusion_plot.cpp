#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plots/canvas.h"
#include "plots/plots.h"

namespace valbench {
namespace {

using namespace plots;

constexpr double kUprightBelow = 75;  // cells narrower than that have their names turned
constexpr Color kDark{23, 55, 130};

/// White over the accent to a dark blue: lightness falls steadily, so that it reads in grey as well.
Color heat(double share) {
  return share < 0.6 ? mix(kWhite, kAccent, std::sqrt(std::max(share, 0.0) / 0.6) * 0.85)
                     : mix(mix(kWhite, kAccent, 0.85), kDark, (share - 0.6) / 0.4);
}

struct Grid {
  Rect area;
  int cells;
  double cell() const { return area.w / cells; }
  Rect at(int row, int column) const { return {area.x + column * cell(), area.y + row * cell(), cell(), cell()}; }
};

void draw_cells(Canvas& canvas, const Grid& grid, const ConfusionMatrix& matrix) {
  for (int truth = 0; truth < grid.cells; ++truth) {
    double sum = 0;
    for (int predicted = 0; predicted < grid.cells; ++predicted)
      sum += static_cast<double>(matrix.count(predicted, truth));
    for (int predicted = 0; predicted < grid.cells; ++predicted) {
      const std::int64_t count = matrix.count(predicted, truth);
      const double share = sum > 0 ? static_cast<double>(count) / sum : 0;
      const Rect rect = grid.at(predicted, truth);
      canvas.fill(rect, heat(share));
      if (count == 0 || grid.cell() < 26) continue;
      const Color ink = share > 0.3 ? kWhite : kInk;
      const double size = std::clamp(grid.cell() / 5, 6.5, 13.0);
      const Point centre{rect.x + rect.w / 2, rect.y + rect.h / 2};
      const bool counts = grid.cell() >= 52;
      canvas.text({centre.x, centre.y - (counts ? size * 0.7 : 0)}, fmt::format("{:.2f}", share),
                  {.size = size, .color = ink, .align = Align::centre, .bold = counts});
      if (counts) {
        canvas.text({centre.x, centre.y + size * 0.95}, std::to_string(count),
                    {.size = size * 0.72, .color = mix(heat(share), ink, 0.8), .align = Align::centre});
      }
    }
  }
  if (grid.cell() < 8) return;
  for (int line = 1; line < grid.cells; ++line) {
    const double at = line * grid.cell();
    canvas.line({grid.area.x + at, grid.area.y}, {grid.area.x + at, grid.area.y + grid.area.h}, kGrid, 0.5);
    canvas.line({grid.area.x, grid.area.y + at}, {grid.area.x + grid.area.w, grid.area.y + at}, kGrid, 0.5);
  }
}

void draw_names(Canvas& canvas, const Grid& grid, const std::vector<std::string>& names) {
  const double size = std::clamp(grid.cell() * 0.6, 4.0, 9.0);
  const int every = static_cast<int>(std::ceil(8 / grid.cell()));  // names that do not overlap
  const bool upright = grid.cell() < kUprightBelow;
  for (int i = 0; i < grid.cells; i += every) {
    const bool background = i + 1 == grid.cells;
    const std::string& name = background ? std::string("background") : names[static_cast<std::size_t>(i)];
    const TextStyle style{.size = size, .color = background ? kMuted : kInk, .align = Align::right};
    const double middle = (i + 0.5) * grid.cell();
    canvas.text({grid.area.x - 8, grid.area.y + middle}, shortened(name, style, 105), style);
    TextStyle below = style;
    if (upright) {
      canvas.vertical_text({grid.area.x + middle, grid.area.y + grid.area.h + 6}, shortened(name, style, 92), below);
    } else {
      below.align = Align::centre;
      canvas.text({grid.area.x + middle, grid.area.y + grid.area.h + 16}, shortened(name, style, grid.cell() - 6),
                  below);
    }
  }
}

void draw_scale(Canvas& canvas, Rect bar) {
  constexpr int steps = 100;
  for (int i = 0; i < steps; ++i) {
    canvas.fill({bar.x, bar.y + bar.h * (steps - 1 - i) / steps, bar.w, bar.h / steps + 0.5}, heat((i + 0.5) / steps));
  }
  canvas.frame(bar, kGrid);
  for (int tick = 0; tick <= 5; ++tick) {
    canvas.text({bar.x + bar.w + 7, bar.y + bar.h * (5 - tick) / 5}, fmt::format("{:.1f}", tick / 5.0),
                {.size = 8, .color = kMuted});
  }
}

}  // namespace

void write_confusion_matrix_png(const std::filesystem::path& file, const ConfusionMatrix& matrix,
                                const std::vector<std::string>& names) {
  if (static_cast<int>(names.size()) != matrix.classes()) {
    throw InputError(fmt::format("confusion matrix: {} names for {} classes; give every class one name", names.size(),
                                 matrix.classes()));
  }
  Canvas canvas(1000, 900);
  const Grid grid{{150, 50, 720, 720}, matrix.classes() + 1};
  draw_cells(canvas, grid, matrix);
  canvas.frame(grid.area, mix(kMuted, kWhite, 0.4));
  draw_names(canvas, grid, names);
  draw_scale(canvas, {900, 50, 18, 720});
  const TextStyle style{.size = 10, .align = Align::centre};
  canvas.text({510, 26}, "Confusion matrix: share of a column's boxes",
              {.size = 11, .align = Align::centre, .bold = true});
  canvas.text({510, grid.cell() < kUprightBelow ? 882.0 : 815.0}, "true class", style);
  canvas.vertical_text({18, 410}, "predicted class", style);
  canvas.write(file);
}

}  // namespace valbench
