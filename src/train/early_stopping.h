/// \file
/// YOLOv5's fitness and patience (reference yolov5.md §4.9).
#pragma once
#include "scenario/run_spec.h"

namespace valbench {

/// 0.1 mAP50 + 0.9 mAP50-95.
double fitness(double map50, double map50_95);

/// Ends a run whose fitness has not improved for `patience` epochs. In v7.0 a tie counts as an improvement, so a run that stays at 0 never
/// ends; in today's HEAD it does not, and the first epoch's 0 is the best so far.
class EarlyStopping {
 public:
  /// \param patience in epochs; 0 = never stop.
  explicit EarlyStopping(int patience, Compat compat = Compat::v7_0)
      : patience_(patience), ties_count_(compat == Compat::v7_0), best_fitness_(ties_count_ ? 0 : -1) {}

  /// Takes an epoch's fitness, 0 where it was not validated. True: the run ends with this epoch.
  bool update(int epoch, double fitness);
  /// The next epoch may be the last, so it is validated even where validation is off.
  bool possible_stop() const { return possible_stop_; }
  int best_epoch() const { return best_epoch_; }
  double best_fitness() const { return best_fitness_; }

  /// What an exact continuation needs.
  struct Progress {
    int best_epoch = 0;
    double best_fitness = 0;
    bool possible_stop = false;
  };
  Progress progress() const { return {best_epoch_, best_fitness_, possible_stop_}; }
  void restore(const Progress& from) {
    best_epoch_ = from.best_epoch;
    best_fitness_ = from.best_fitness;
    possible_stop_ = from.possible_stop;
  }

 private:
  int patience_;
  bool ties_count_;
  int best_epoch_ = 0;
  double best_fitness_;
  bool possible_stop_ = false;
};

}  // namespace valbench
