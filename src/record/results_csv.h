/// \file
/// results.csv in YOLOv5's columns and format (reference yolov5.md §8.3).
#pragma once
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "record/run_record.h"

namespace valbench {

/// One line: an epoch's losses, metrics and learning rates.
struct ResultsRow {
  int epoch = 0;                       ///< From 0.
  std::array<double, 3> train_loss{};  ///< box, obj, cls
  double precision = 0, recall = 0, map50 = 0, map50_95 = 0;
  std::array<double, 3> val_loss{};
  std::array<double, 3> lr{};  ///< bias, weight, norm weight
};

std::string results_csv_header();
std::string results_csv_line(const ResultsRow& row);

/// The file of one training, complete after every epoch.
class ResultsCsv {
 public:
  /// \param first_epoch of a continued training: lines of earlier epochs that the file holds are kept, later ones go.
  /// An epoch without validation repeats the last of them.
  ResultsCsv(std::filesystem::path file, int first_epoch);

  /// Adds an epoch and writes the file by rename. An epoch without validation (null) repeats the numbers of the one
  /// before, zeros at first, as YOLOv5 does; one whose result is `pending` shows nan until it is there.
  void add(const EpochRecord& epoch, const ValidationRecord* validation, const std::array<double, 3>& lr,
           bool pending = false);
  /// The result of an epoch that was added as pending; writes the file again. One of an epoch that was not is ignored.
  void complete(const ValidationRecord& validation);

 private:
  struct Entry {
    ResultsRow row;
    enum class Metrics { own, repeated, pending } metrics;
  };
  void write() const;

  std::filesystem::path file_;
  std::string text_;  ///< The header and the lines that were there.
  ResultsRow last_;   ///< The last of them.
  std::vector<Entry> entries_;
};

}  // namespace valbench
