/// \file
/// cache: gpu. Validation batches that stay on the device.
#pragma once
#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "data/data_loader.h"

namespace valbench {

/// Hands out the batches of another loader with their images on a device. In its first whole pass it keeps them, and
/// lets the other loader and its threads go; later passes hand out the same tensors. Labels stay on the host, where
/// detections are matched with them.
class DeviceBatches final : public DataLoader {
 public:
  /// \param source hands out the same batches in every pass.
  DeviceBatches(std::unique_ptr<DataLoader> source, c10::Device device);

  void start(int epoch) override;
  std::optional<Batch> next() override;
  std::size_t batches() const override { return batches_; }
  std::vector<std::string> warnings() const override { return warnings_; }
  bool complete() const { return source_ == nullptr; }  ///< Every batch is on the device.

 private:
  std::unique_ptr<DataLoader> source_;  // Null when all batches are kept.
  c10::Device device_;
  std::size_t batches_;
  std::vector<std::string> warnings_;
  std::vector<Batch> kept_;
  std::size_t next_ = 0;
};

}  // namespace valbench
