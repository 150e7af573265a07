#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "plots/axes.h"
#include "plots/plots.h"

namespace valbench {
namespace {

using namespace plots;

constexpr std::size_t kColumns = 5;  // panels in a row
constexpr std::array<const char*, 10> kPanels = {
    "train/box_loss", "train/obj_loss", "train/cls_loss", "metrics/precision", "metrics/recall",
    "val/box_loss",   "val/obj_loss",   "val/cls_loss",   "metrics/mAP_0.5",   "metrics/mAP_0.5:0.95"};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) {
    const std::size_t first = cell.find_first_not_of(" \t\r"), last = cell.find_last_not_of(" \t\r");
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

double number_in(const std::string& cell, const std::string& where) {
  double value = 0;
  const auto [end, code] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (code == std::errc() && end == cell.data() + cell.size()) return value;
  throw InputError(fmt::format("{}: `{}` is no number; write every cell of results.csv as a number", where, cell));
}

std::size_t column_of(const std::vector<std::string>& header, const std::string& name, const std::string& file) {
  const auto at = std::find(header.begin(), header.end(), name);
  if (at != header.end()) return static_cast<std::size_t>(at - header.begin());
  throw InputError(fmt::format(
      "{}:1: there is no column `{}`; the header must name the columns of YOLOv5's results.csv", file, name));
}

void draw_panel(Canvas& canvas, const ResultsPlot& plot, std::size_t index) {
  const Curve& curve = plot.columns[index];
  const double column = static_cast<double>(index % kColumns), row = std::floor(static_cast<double>(index) / kColumns);
  const Axes axes({70 + column * 300, 46 + row * 300, 215, 200}, range_of(plot.epochs), range_of(curve.y));
  axes.draw(canvas, {curve.label, row > 0 || plot.columns.size() <= kColumns ? "epoch" : "", "", /*whole_x=*/true}, 4, 5);
  axes.plot(canvas, plot.epochs, curve.y, kAccent, 2);
  if (plot.epochs.size() > 40) return;  // single points only while they can be told apart
  for (std::size_t i = 0; i < curve.y.size(); ++i) {
    if (std::isfinite(curve.y[i])) canvas.disc(axes.at(plot.epochs[i], curve.y[i]), 2.5, kAccent);
  }
}

}  // namespace

ResultsPlot read_results_csv(const std::filesystem::path& file) {
  std::istringstream in(read_file(file));
  std::string line;
  std::getline(in, line);
  const auto header = cells_of(line);
  std::vector<std::size_t> columns;
  ResultsPlot plot;
  for (const char* name : kPanels) {
    columns.push_back(column_of(header, name, file.string()));
    plot.columns.push_back({name, {}});
  }
  const std::size_t epoch = column_of(header, "epoch", file.string());
  for (int number = 2; std::getline(in, line); ++number) {
    const auto cells = cells_of(line);
    if (cells.empty() || (cells.size() == 1 && cells[0].empty())) continue;
    const std::string where = fmt::format("{}:{}", file.string(), number);
    if (cells.size() != header.size()) {
      throw InputError(fmt::format("{}: {} cells under {} columns; remove the line or complete it", where, cells.size(),
                                   header.size()));
    }
    plot.epochs.push_back(number_in(cells[epoch], where));
    for (std::size_t i = 0; i < columns.size(); ++i) plot.columns[i].y.push_back(number_in(cells[columns[i]], where));
  }
  return plot;
}

void write_results_png(const std::filesystem::path& file, const ResultsPlot& plot) {
  for (const Curve& curve : plot.columns) {
    if (curve.y.size() == plot.epochs.size()) continue;
    throw InputError(fmt::format(
        "results plot: column `{}` has {} values, but there are {} epochs; give every column one value an epoch",
        curve.label, curve.y.size(), plot.epochs.size()));
  }
  const std::size_t rows = std::max<std::size_t>(1, (plot.columns.size() + kColumns - 1) / kColumns);
  Canvas canvas(1520, 20 + 300 * static_cast<int>(rows));
  for (std::size_t i = 0; i < plot.columns.size(); ++i) draw_panel(canvas, plot, i);
  canvas.write(file);
}

}  // namespace valbench
