/// \file
/// Rank 0's account of a run's validations. Their results may come late and in any order: the best epoch and early stopping do not depend
/// on it.
#pragma once
#include <map>
#include <string>

#include "record/run_record.h"
#include "train/early_stopping.h"

namespace valbench {

class ValidationLedger {
 public:
  /// \param best_fitness of the epochs before `first_epoch`. \param best_epoch the one with it; -1 = none, or not known.
  ValidationLedger(EarlyStopping stopping, double best_fitness, int first_epoch, int best_epoch = -1)
      : stopping_(stopping), best_fitness_(best_fitness), best_epoch_(best_epoch), next_(first_epoch) {}

  /// The weights of an epoch were handed over to be scored. \param at_s by the job's clock, as below.
  void submitted(int epoch, std::string checksum, double at_s);
  /// Books a result and writes both times into it. True: the best fitness so far; of equal ones the later epoch is the best, as in YOLOv5,
  /// whichever came first. Throws Error for a result that nobody waits for, or that is of other weights than were submitted.
  bool received(ValidationRecord& record, double at_s);
  /// The weights of an epoch will not be scored: it counts as one without validation.
  void skipped(int epoch);
  /// An epoch has ended. Early stopping sees the epochs in their order, each when its result is known, so it may lag behind. True: the run
  /// ends now.
  bool ended(int epoch);

  bool pending(int epoch) const { return pending_.contains(epoch); }
  int first_pending() const { return pending_.empty() ? -1 : pending_.begin()->first; }  ///< -1: every result is there.
  double fitness_of(int epoch) const;                                                    ///< 0 where there is none (yet).
  double best_fitness() const { return best_fitness_; }
  int best_epoch() const { return best_epoch_; }  ///< -1: none so far, or before the first epoch and not known.
  const EarlyStopping& stopping() const { return stopping_; }

 private:
  struct Submission {
    std::string checksum;
    double at_s = 0;
  };

  EarlyStopping stopping_;
  double best_fitness_;
  int best_epoch_;
  int next_;  ///< The first epoch that early stopping has not seen.
  std::map<int, Submission> pending_;
  std::map<int, double> fitness_;  ///< Of validated epochs.
};

}  // namespace valbench
