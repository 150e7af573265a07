/// \file
/// Whether another validation still fits under a share of the time.
#pragma once

namespace valbench {

/// Adds up what rank 0 has measured. A validation is affordable while all validations with it stay within `share` of training and
/// validation together; the first one always is, since nothing is known before it. It reads no clock: seconds are handed in.
class TimeShare {
 public:
  /// \param share in (0, 1); 0 = no limit.
  explicit TimeShare(double share) : share_(share) {}

  void trained(double seconds) { train_s_ += seconds, ++epochs_; }
  void validated(double seconds) { val_s_ += seconds, ++validations_; }

  /// May the epoch that comes next be validated?
  bool affordable() const {
    if (share_ <= 0 || validations_ == 0) return true;
    const double train_s = train_s_ + train_s_ / epochs_, val_s = val_s_ + val_s_ / validations_;
    return val_s <= share_ * (train_s + val_s);
  }

 private:
  double share_;
  double train_s_ = 0, val_s_ = 0;
  int epochs_ = 0, validations_ = 0;
};

}  // namespace valbench
