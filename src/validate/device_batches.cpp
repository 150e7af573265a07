#include "validate/device_batches.h"

#include <ATen/ATen.h>

#include <utility>

namespace valbench {

DeviceBatches::DeviceBatches(std::unique_ptr<DataLoader> source, c10::Device device)
    : source_(std::move(source)), device_(device), batches_(source_->batches()), warnings_(source_->warnings()) {}

void DeviceBatches::start(int epoch) {
  next_ = 0;
  if (!source_) return;
  kept_.clear();  // A pass that broke off is worth nothing.
  source_->start(epoch);
}

std::optional<Batch> DeviceBatches::next() {
  if (!source_) return next_ < kept_.size() ? std::optional(kept_[next_++]) : std::nullopt;
  std::optional<Batch> batch = source_->next();
  if (!batch) return batch;
  batch->images = batch->images.to(device_, /*non_blocking=*/true);
  kept_.push_back(*batch);
  next_ = kept_.size();
  if (next_ == batches_) source_.reset();
  return batch;
}

}  // namespace valbench
