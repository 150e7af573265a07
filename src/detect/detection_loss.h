/// \file
/// YOLOv5's training loss (reference yolov5.md §2): target assignment, CIoU box, objectness and class loss.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "detect/target_assignment.h"
#include "scenario/run_spec.h"

namespace valbench {

/// Loss gains after scaling to levels, classes and image size (§2.2).
struct LossGains {
  double box = 0.05, cls = 0.5, obj = 1.0, cls_pw = 1.0, obj_pw = 1.0, anchor_t = 4.0, fl_gamma = 0.0,
         label_smoothing = 0.0;
};
LossGains scaled_loss_gains(const Hyperparameters& hyp, double label_smoothing, int levels, int classes, int imgsz);

struct LossResult {
  at::Tensor total;  ///< Scalar with gradient: (box + obj + cls) * batch rows.
  at::Tensor items;  ///< (3) detached, float32, on the device: box, obj, cls. Never read back inside a step.
};

class DetectionLoss {
 public:
  /// \param anchors (levels, na, 2) grid units, copied.
  /// \param compaction `never` lets a test run the form that GPUs use on a CPU.
  DetectionLoss(LossGains gains, int classes, const at::Tensor& anchors,
                RowCompaction compaction = RowCompaction::automatic);
  /// \param raw levels of DetectionModel::forward; \param targets (n, 6) float32 on the same device.
  LossResult operator()(const std::vector<at::Tensor>& raw, const at::Tensor& targets) const;

 private:
  LossGains gains_;
  int classes_;
  at::Tensor anchors_;
  RowCompaction compaction_;
};

}  // namespace valbench
