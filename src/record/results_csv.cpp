#include "record/results_csv.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <sstream>

#include "base/file.h"

namespace valbench {
namespace {

constexpr const char* kColumns[] = {"epoch",           "train/box_loss",       "train/obj_loss", "train/cls_loss", "metrics/precision",
                                    "metrics/recall",  "metrics/mAP_0.5",      "metrics/mAP_0.5:0.95",
                                    "val/box_loss",    "val/obj_loss",         "val/cls_loss",   "x/lr0",
                                    "x/lr1",           "x/lr2"};

/// The cells of our columns: YOLOv5's package of PyPI appends some of its own.
std::string own_cells(const std::string& line) {
  std::size_t end = 0;
  for (std::size_t cell = 0; cell < std::size(kColumns) && end != std::string::npos; ++cell) end = line.find(',', end + (cell > 0));
  return line.substr(0, end);
}

/// Lines of the file whose epoch is before `first_epoch`, without the header.
std::string lines_before(const std::filesystem::path& file, int first_epoch) {
  if (first_epoch == 0 || !std::filesystem::exists(file)) return {};
  std::istringstream in(read_file(file));
  std::string kept, line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    if (std::atoi(line.c_str()) < first_epoch) kept += own_cells(line) + "\n";
  }
  return kept;
}

/// What the last of these lines says of its validation; a line that an epoch without validation adds repeats it to the digit.
ResultsRow last_row(const std::string& lines) {
  ResultsRow row;
  if (lines.empty()) return row;
  const std::size_t end_of_others = lines.rfind('\n', lines.size() - 2);
  std::string line = lines.substr(end_of_others == std::string::npos ? 0 : end_of_others + 1);
  std::replace(line.begin(), line.end(), ',', ' ');
  std::istringstream cells(line);
  ResultsRow r;
  cells >> r.epoch >> r.train_loss[0] >> r.train_loss[1] >> r.train_loss[2] >> r.precision >> r.recall >> r.map50 >> r.map50_95 >>
      r.val_loss[0] >> r.val_loss[1] >> r.val_loss[2];
  return cells ? r : row;
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr ResultsRow kUnknown{.precision = kNaN, .recall = kNaN, .map50 = kNaN, .map50_95 = kNaN, .val_loss = {kNaN, kNaN, kNaN}};

void copy_metrics(const ResultsRow& from, ResultsRow& to) {
  to.precision = from.precision;
  to.recall = from.recall;
  to.map50 = from.map50;
  to.map50_95 = from.map50_95;
  to.val_loss = from.val_loss;
}

void set_metrics(const ValidationRecord& v, ResultsRow& row) {
  copy_metrics({.precision = v.precision, .recall = v.recall, .map50 = v.map50, .map50_95 = v.map50_95, .val_loss = v.loss}, row);
}

}  // namespace

std::string results_csv_header() {
  std::string line;
  char cell[32];
  for (const char* name : kColumns) {
    std::snprintf(cell, sizeof cell, "%20s", name);
    line += (line.empty() ? "" : ",") + std::string(cell);
  }
  return line + "\n";
}

std::string results_csv_line(const ResultsRow& r) {
  const double values[] = {static_cast<double>(r.epoch), r.train_loss[0], r.train_loss[1], r.train_loss[2], r.precision,
                           r.recall,                     r.map50,         r.map50_95,      r.val_loss[0],   r.val_loss[1],
                           r.val_loss[2],                r.lr[0],         r.lr[1],         r.lr[2]};
  std::string line;
  char cell[32];
  for (const double value : values) {
    std::snprintf(cell, sizeof cell, "%20.5g", value);
    line += (line.empty() ? "" : ",") + std::string(cell);
  }
  return line + "\n";
}

ResultsCsv::ResultsCsv(std::filesystem::path file, int first_epoch)
    : file_(std::move(file)) {
  const std::string lines = lines_before(file_, first_epoch);
  text_ = results_csv_header() + lines;
  last_ = last_row(lines);
}

void ResultsCsv::add(const EpochRecord& epoch, const ValidationRecord* validation, const std::array<double, 3>& lr, bool pending) {
  Entry entry{.row = {.epoch = epoch.epoch, .train_loss = {epoch.loss_box, epoch.loss_obj, epoch.loss_cls}, .lr = lr},
              .metrics = pending ? Entry::Metrics::pending : Entry::Metrics::repeated};
  if (validation != nullptr) {
    set_metrics(*validation, entry.row);
    entry.metrics = Entry::Metrics::own;
  }
  entries_.push_back(entry);
  write();
}

void ResultsCsv::complete(const ValidationRecord& validation) {
  for (Entry& entry : entries_) {
    if (entry.row.epoch != validation.epoch || entry.metrics == Entry::Metrics::own) continue;
    set_metrics(validation, entry.row);
    entry.metrics = Entry::Metrics::own;
  }
  write();
}

void ResultsCsv::write() const {
  std::string text = text_;
  ResultsRow shown = last_;
  for (const Entry& entry : entries_) {
    ResultsRow line = entry.row;
    if (entry.metrics == Entry::Metrics::own) shown = entry.row;
    if (entry.metrics == Entry::Metrics::repeated) copy_metrics(shown, line);
    if (entry.metrics == Entry::Metrics::pending) copy_metrics(kUnknown, line);
    text += results_csv_line(line);
  }
  write_atomically(file_, text);
}

}  // namespace valbench
