/// \file
/// When to validate.
#pragma once

namespace valbench {

/// Every `interval` epochs, and always after the last one. interval 1 is YOLOv5.
class ValidationSchedule {
 public:
  ValidationSchedule(int interval, int epochs) : interval_(interval), epochs_(epochs) {}
  /// Is a validation due after this (0-based) epoch?
  bool due(int epoch) const { return epoch + 1 == epochs_ || (epoch + 1) % interval_ == 0; }

 private:
  int interval_;
  int epochs_;
};

}  // namespace valbench
