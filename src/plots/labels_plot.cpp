#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plots/axes.h"
#include "plots/plots.h"

namespace valbench {
namespace {

using namespace plots;

constexpr std::size_t kMaxDrawn = 1000;  // boxes around one centre

void check_classes(std::span<const LabelBox> labels, std::size_t classes) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const LabelBox& label = labels[i];
    if (label.cls < 0 || static_cast<std::size_t>(label.cls) >= classes) {
      throw InputError(fmt::format("labels plot: label {} has class {}; allowed are 0..{}", i, label.cls,
                                   static_cast<std::int64_t>(classes) - 1));
    }
  }
}

void draw_histogram(Canvas& canvas, Rect area, std::span<const LabelBox> labels,
                    const std::vector<std::string>& names) {
  std::vector<double> counts(names.size());
  for (const LabelBox& label : labels) ++counts[static_cast<std::size_t>(label.cls)];
  const double most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  const double slot = area.w / static_cast<double>(std::max<std::size_t>(counts.size(), 1));
  const Axes axes(area, {0, static_cast<double>(std::max<std::size_t>(counts.size(), 1))},
                  {0, std::max(most, 1.0) * 1.1});
  axes.draw(canvas, {fmt::format("{} labels of {} classes", labels.size(), names.size()), "", "labels"}, 0, 5);
  const int every = static_cast<int>(std::ceil(10 / slot));
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double x = area.x + (static_cast<double>(i) + 0.5) * slot, top = axes.at(0, counts[i]).y;
    canvas.fill({x - slot * 0.4, top, slot * 0.8, area.y + area.h - top}, class_color(i));
    if (slot >= 40)
      canvas.text({x, top - 9}, fmt::format("{:.0f}", counts[i]),
                  {.size = 7.5, .color = kMuted, .align = Align::centre});
    if (static_cast<int>(i) % every != 0) continue;
    const TextStyle style{.size = std::clamp(slot * 0.6, 5.5, 8.5), .align = slot >= 70 ? Align::centre : Align::right};
    if (slot >= 70)
      canvas.text({x, area.y + area.h + 14}, shortened(names[i], style, slot - 6), style);
    else
      canvas.vertical_text({x, area.y + area.h + 6}, shortened(names[i], style, 80), style);
  }
}

void draw_shapes(Canvas& canvas, Rect area, std::span<const LabelBox> labels) {
  const Axes axes(area, {0, 1}, {0, 1});
  const std::size_t step = std::max<std::size_t>(1, (labels.size() + kMaxDrawn - 1) / kMaxDrawn);
  axes.draw(canvas, {step == 1 ? "boxes around one centre" : fmt::format("boxes around one centre, one of {}", step),
                     "width", "height"});
  for (std::size_t i = 0; i < labels.size(); i += step) {
    const double w = std::min(labels[i].w, 1.F), h = std::min(labels[i].h, 1.F);
    const Point corner = axes.at(0.5 - w / 2, 0.5 + h / 2);
    canvas.frame({corner.x, corner.y, w * area.w, h * area.h}, class_color(static_cast<std::size_t>(labels[i].cls)),
                 0.5);
  }
}

/// A map of how many of the points (x, y) in [0, 1] lie where; the square root keeps thin regions visible.
template <typename Value>
void draw_density(Canvas& canvas, Rect area, std::span<const LabelBox> labels, const AxesLabels& text, Value value,
                  bool down) {
  // Two labels a cell on average: fewer cells show the shape of a small set, more that of a large one.
  const int bins = std::clamp(static_cast<int>(std::sqrt(static_cast<double>(labels.size()) / 2)), 10, 60);
  std::vector<double> counts(static_cast<std::size_t>(bins * bins));
  const auto bin = [bins](double v) { return std::clamp(static_cast<int>(v * bins), 0, bins - 1); };
  for (const LabelBox& label : labels) {
    const Point point = value(label);
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
    ++counts[static_cast<std::size_t>(bin(down ? 1 - point.y : point.y) * bins + bin(point.x))];
  }
  const double most = std::max(*std::max_element(counts.begin(), counts.end()), 1.0);
  const Axes axes(area, {0, 1}, {0, 1});
  axes.draw(canvas, text);
  for (int y = 0; y < bins; ++y) {
    for (int x = 0; x < bins; ++x) {
      const double count = counts[static_cast<std::size_t>(y * bins + x)];
      if (count == 0) continue;
      const double share = std::sqrt(count / most);
      const Color color =
          share < 0.5 ? mix(mix(kWhite, kAccent, 0.15), kAccent, share * 2) : mix(kAccent, {15, 23, 75}, share * 2 - 1);
      canvas.fill({area.x + x * area.w / bins, area.y + (bins - 1 - y) * area.h / bins, area.w / bins, area.h / bins},
                  color);
    }
  }
}

}  // namespace

void write_labels_png(const std::filesystem::path& file, std::span<const LabelBox> labels,
                      const std::vector<std::string>& names) {
  check_classes(labels, names.size());
  Canvas canvas(1120, 1120);
  const auto panel = [](int column, int row) { return Rect{90.0 + 550 * column, 50.0 + 550 * row, 430, 400}; };
  draw_histogram(canvas, panel(0, 0), labels, names);
  draw_shapes(canvas, panel(1, 0), labels);
  draw_density(
      canvas, panel(0, 1), labels, {"centres (top of the image is up)", "x", "y from the bottom"},
      [](const LabelBox& label) {
        return Point{label.x, label.y};
      },
      true);
  draw_density(
      canvas, panel(1, 1), labels, {"sizes", "width", "height"},
      [](const LabelBox& label) {
        return Point{label.w, label.h};
      },
      false);
  canvas.write(file);
}

}  // namespace valbench
