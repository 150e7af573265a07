#include "data/label_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <string_view>
#include <tuple>

#include "base/file.h"

namespace valbench {
namespace {

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

// The reason why a row is invalid; empty when it is fine.
std::string parse_row(const Tokens& row, bool polygons, LabelRow& out) {
  std::vector<float> values;
  for (std::string_view word : row.words) {
    double value = 0;
    if (word.starts_with('+')) word.remove_prefix(1);
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (code != std::errc() || end != word.data() + word.size() || !std::isfinite(value)) {
      return "\"" + std::string(word) + "\" is not a number";
    }
    values.push_back(static_cast<float>(value));
  }
  if (!polygons && values.size() != 5) return std::to_string(values.size()) + " columns, 5 expected (class x y w h)";
  if (polygons && (values.size() < 5 || values.size() % 2 == 0))
    return "a polygon needs a class and two or more x y pairs";
  if (values[0] != std::floor(values[0])) return "class " + std::string(row.words[0]) + " is not a whole number";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0) return "value " + std::string(row.words[i]) + " is negative";
    if (i > 0 && values[i] > 1)
      return "coordinate " + std::string(row.words[i]) + " is above 1 (not normalised to the image?)";
  }
  if (!polygons) {
    out = {values[0], values[1], values[2], values[3], values[4]};
    return {};
  }
  float x1 = 1, y1 = 1, x2 = 0, y2 = 0;
  for (std::size_t i = 1; i + 1 < values.size(); i += 2) {
    x1 = std::min(x1, values[i]);
    x2 = std::max(x2, values[i]);
    y1 = std::min(y1, values[i + 1]);
    y2 = std::max(y2, values[i + 1]);
  }
  out = {values[0], (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1};
  return {};
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
  std::vector<LabelRow> rows;
  std::vector<int> lines;
  for (const std::size_t i : order) {
    rows.push_back(file.rows[i]);
    lines.push_back(file.lines[i]);
  }
  file.rows = std::move(rows);
  file.lines = std::move(lines);
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
    if (const std::string reason = parse_row(row, polygons, label); !reason.empty()) {
      out.error = file.string() + ":" + std::to_string(row.line) + ": " + reason;
      return out;
    }
    out.rows.push_back(label);
    out.lines.push_back(row.line);
  }
  remove_duplicates(out);
  return out;
}

}  // namespace valbench
