/// \file
/// What YOLOv5 does once the epochs are over (reference yolov5.md §6.1): best is loaded from its file, fused, and validated
/// as `valbench val` does, with pictures.
#pragma once
#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "detect/detection_model.h"
#include "record/run_record.h"
#include "scenario/val_spec.h"

namespace valbench {

class YoloDataset;

/// Everything that a closing validation needs. References outlive the call.
struct ClosingContext {
  const ValSpec& spec;  ///< closing_val_spec() of the training; weights and thresholds are settled here.
  Communicator& communicator;
  const DetectionModel& trained;               ///< Its configuration is best's.
  std::shared_ptr<const YoloDataset> dataset;  ///< Null on a rank that has not validated so far.
  c10::Device device;
  bool wanted = true;     ///< On rank 0, for all: false where the training never validates.
  MachineRecord machine;  ///< Of rank 0.
  std::function<void(std::int64_t batch, std::int64_t batches)> progress;  ///< May be empty.
};

/// The checkpoint that a finished training is known by: weights/best, without one weights/last. Nothing where there is
/// neither.
std::optional<std::filesystem::path> closing_weights(const std::filesystem::path& folder);

/// Every rank calls it after the last checkpoint; whole batches are dealt to all of them. Rank 0 writes metrics.json,
/// curves, confusion matrix and pictures into the run folder. Returns what the user should know, on rank 0.
std::vector<std::string> run_closing_validation(const ClosingContext& context);

}  // namespace valbench
