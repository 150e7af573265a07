/// \file
/// When to validate.
#pragma once
#include "scenario/run_spec.h"

namespace valbench {

/// Every `interval` epochs from `start_epoch` on, every one of the last `dense_last` epochs, and always after the last one.
/// The defaults are YOLOv5: after every epoch.
class ValidationSchedule {
 public:
  ValidationSchedule(const ValidationSpec& spec, int epochs)
      : interval_(spec.interval), start_epoch_(spec.start_epoch), dense_last_(spec.dense_last), epochs_(epochs) {}
  /// Is a validation due after this (0-based) epoch?
  bool due(int epoch) const {
    if (epoch + 1 == epochs_) return true;
    if (epoch < start_epoch_) return false;
    return epoch >= epochs_ - dense_last_ || (epoch + 1) % interval_ == 0;
  }

 private:
  int interval_, start_epoch_, dense_last_;
  int epochs_;
};

}  // namespace valbench
