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
  /// Must this epoch be validated whatever it costs: the last one, or one of the last `dense_last`?
  bool required(int epoch) const { return epoch + 1 == epochs_ || (epoch >= start_epoch_ && epoch >= epochs_ - dense_last_); }
  /// Is a validation due after this (0-based) epoch?
  bool due(int epoch) const {
    return required(epoch) || (epoch >= start_epoch_ && (epoch + 1) % interval_ == 0);
  }

 private:
  int interval_, start_epoch_, dense_last_;
  int epochs_;
};

}  // namespace valbench
