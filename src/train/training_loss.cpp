#include "train/training_loss.h"

namespace valbench {

DetectionLoss make_training_loss(const RunSpec& spec, const DetectionModel& model) {
  const LossGains gains =
      scaled_loss_gains(spec.hyp, spec.label_smoothing, static_cast<int>(model.strides().size()), model.classes(), spec.imgsz);
  return DetectionLoss(gains, model.classes(), model.anchors());
}

}  // namespace valbench
