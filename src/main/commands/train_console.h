/// \file
/// What `valbench train` shows while it runs: YOLOv5's rows, one of training and one of validation an epoch.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/progress.h"
#include "launch/launcher.h"
#include "launch/run_guess.h"
#include "record/run_record.h"

namespace valbench {

/// `Epoch GPU_mem box_loss …` and the row below it (reference yolov5.md §8.3).
std::string train_row_header();
std::string train_row(const RankProgress& progress);
/// `Class Images Instances P …` and the row of all classes.
std::string validation_row_header();
std::string validation_row(const RankProgress& progress);

/// A bar on a terminal, plain lines elsewhere; rows of finished epochs stay.
class TrainConsole {
 public:
  /// Says what is about to be trained.
  TrainConsole(const RunSpec& spec, const ImageCounts& images);
  void show(const RankProgress& progress, std::int64_t at_ns);
  void finish() { progress_.clear(); }

 private:
  double seconds_left(double fraction, std::int64_t at_ns);

  Progress progress_ = Progress::on_stderr();
  std::int64_t first_ns_ = -1;
  double first_fraction_ = 0;
};

/// The epochs and the time of this call, and which epoch of the whole training was best.
std::string training_summary(const RunRecord& record, double seconds);

}  // namespace valbench
