// The built-in hyperparameter sets (reference yolov5.md §3).
#include "base/error.h"
#include "scenario/run_spec.h"

namespace valbench {
namespace {

Hyperparameters voc() {
  Hyperparameters h;
  h.lr0 = 0.00334, h.lrf = 0.15135, h.momentum = 0.74832, h.weight_decay = 0.00025;
  h.warmup_epochs = 3.3835, h.warmup_momentum = 0.59462, h.warmup_bias_lr = 0.18657;
  h.box = 0.02, h.cls = 0.21638, h.cls_pw = 0.5, h.obj = 0.51728, h.obj_pw = 0.67198;
  h.iou_t = 0.2, h.anchor_t = 3.3744, h.anchors = 3.412, h.fl_gamma = 0.0;
  h.hsv_h = 0.01041, h.hsv_s = 0.54703, h.hsv_v = 0.27739;
  h.degrees = 0.0, h.translate = 0.04591, h.scale = 0.75544, h.shear = 0.0, h.perspective = 0.0;
  h.flipud = 0.0, h.fliplr = 0.5, h.mosaic = 0.85834, h.mixup = 0.04266, h.copy_paste = 0.0;
  return h;
}

}  // namespace

Hyperparameters builtin_hyperparameters(const std::string& name) {
  if (name == "scratch-low") return {};
  if (name == "VOC") return voc();
  throw InputError("hyp = \"" + name + "\": unknown hyperparameter set. Allowed: scratch-low, VOC, or a YAML file");
}

}  // namespace valbench
