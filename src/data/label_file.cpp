#include "data/label_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <string_view>
#include <tuple>

#include "base/file.h"

namespace valbench {
namespace {

constexpr std::size_t kLongestQuote = 40;  // characters of a wrong word that a message repeats
constexpr float kHighestClass = 1 << 24;   // beyond it a float no longer counts

struct Tokens {
  int line = 0;
  std::vector<std::string_view> words;
};

std::vector<Tokens> split_rows(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\v\f";
  std::vector<Tokens> rows;
  int line = 0;
  while (!text.empty()) {
    ++line;
    const std::size_t end = text.find('\n');
    std::string_view rest = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    Tokens row{line, {}};
    for (std::size_t begin; (begin = rest.find_first_not_of(kBlank)) != std::string_view::npos;) {
      rest.remove_prefix(begin);
      const std::size_t length = std::min(rest.find_first_of(kBlank), rest.size());
      row.words.push_back(rest.substr(0, length));
      rest.remove_prefix(length);
    }
    if (!row.words.empty()) rows.push_back(std::move(row));
  }
  return rows;
}

// The numbers of a row; the reason why they are none, or an empty string.
std::string parse_numbers(const Tokens& row, std::vector<float>& values) {
  for (std::string_view word : row.words) {
    double value = 0;
    if (word.starts_with('+')) word.remove_prefix(1);
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (code != std::errc() || end != word.data() + word.size() || !std::isfinite(value)) {
      return "\"" + std::string(word.substr(0, kLongestQuote)) + "\" is not a number";
    }
    values.push_back(static_cast<float>(value));
  }
  return {};
}

// The box around a polygon.
LabelRow box_around(float cls, const Polygon& polygon) {
  float x1 = polygon[0].x, y1 = polygon[0].y, x2 = x1, y2 = y1;
  for (const PolygonPoint& p : polygon) {
    x1 = std::min(x1, p.x);
    x2 = std::max(x2, p.x);
    y1 = std::min(y1, p.y);
    y2 = std::max(y2, p.y);
  }
  return {cls, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1};
}

// Polygons are judged by their boxes, as in YOLOv5: single points may lie a little outside the image.
std::string check_row(const Tokens& row, bool polygons, const LabelRow& label) {
  const std::array<float, 5> values = {label.cls, label.x, label.y, label.w, label.h};
  const auto text = [&](std::size_t i) {
    return polygons && i > 0 ? std::to_string(values[i]) : std::string(row.words[i].substr(0, kLongestQuote));
  };
  if (label.cls != std::floor(label.cls)) return "class " + text(0) + " is not a whole number";
  if (label.cls > kHighestClass) return "class " + text(0) + " is no class number";
  const char* of_box = polygons ? " of the box around the polygon" : "";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0) return "value " + text(i) + (i > 0 ? of_box : "") + " is negative";
    if (i > 0 && values[i] > 1) return "coordinate " + text(i) + of_box + " is above 1 (not normalised to the image?)";
  }
  return {};
}

// The reason why a row is invalid; empty when it is fine.
std::string parse_row(const Tokens& row, bool polygons, LabelRow& out, Polygon& polygon) {
  std::vector<float> values;
  if (std::string reason = parse_numbers(row, values); !reason.empty()) return reason;
  if (!polygons) {
    if (values.size() != 5) return std::to_string(values.size()) + " columns, 5 expected (class x y w h)";
    out = {values[0], values[1], values[2], values[3], values[4]};
  } else {
    if (values.size() < 5 || values.size() % 2 == 0) return "a polygon needs a class and two or more x y pairs";
    for (std::size_t i = 1; i + 1 < values.size(); i += 2) polygon.push_back({values[i], values[i + 1]});
    out = box_around(values[0], polygon);
  }
  return check_row(row, polygons, out);
}

// As np.unique: rows come out sorted, but only in files that have duplicates.
void remove_duplicates(LabelFile& file) {
  const auto key = [&](std::size_t i) {
    const LabelRow& r = file.rows[i];
    return std::tie(r.cls, r.x, r.y, r.w, r.h);
  };
  std::vector<std::size_t> order(file.rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  order.erase(std::unique(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) == key(b); }),
              order.end());
  file.duplicates = file.rows.size() - order.size();
  if (file.duplicates == 0) return;
  LabelFile kept;
  for (const std::size_t i : order) {
    kept.rows.push_back(file.rows[i]);
    kept.lines.push_back(file.lines[i]);
    if (!file.polygons.empty()) kept.polygons.push_back(std::move(file.polygons[i]));
  }
  file.rows = std::move(kept.rows);
  file.lines = std::move(kept.lines);
  file.polygons = std::move(kept.polygons);
}

}  // namespace

std::filesystem::path label_path(const std::filesystem::path& image) {
  constexpr std::string_view kImages = "/images/";
  std::string text = image.string();
  if (const std::size_t at = text.rfind(kImages); at != std::string::npos) text.replace(at, kImages.size(), "/labels/");
  return std::filesystem::path(text).replace_extension(".txt");
}

LabelFile read_label_file(const std::filesystem::path& file) {
  LabelFile out;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) return out;
  out.found = true;
  const std::string text = read_file(file);
  const std::vector<Tokens> rows = split_rows(text);
  const bool polygons = std::any_of(rows.begin(), rows.end(), [](const Tokens& row) { return row.words.size() > 6; });
  for (const Tokens& row : rows) {
    LabelRow label{};
    Polygon polygon;
    if (const std::string reason = parse_row(row, polygons, label, polygon); !reason.empty()) {
      out.error = file.string() + ":" + std::to_string(row.line) + ": " + reason;
      return out;
    }
    out.rows.push_back(label);
    out.lines.push_back(row.line);
    if (polygons) out.polygons.push_back(std::move(polygon));
  }
  remove_duplicates(out);
  return out;
}

}  // namespace valbench
