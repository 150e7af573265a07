/// \file
/// The fields of the specs with their names, each listed once: JSON and the scenario parser walk the same lists.
#pragma once
#include "scenario/run_spec.h"

namespace valbench {

/// Calls visit(name, field) for every hyperparameter, in the order of reference yolov5.md §3.
template <class Spec, class Visit>
void visit_hyperparameters(Spec& h, Visit&& visit) {
  visit("lr0", h.lr0), visit("lrf", h.lrf), visit("momentum", h.momentum), visit("weight_decay", h.weight_decay);
  visit("warmup_epochs", h.warmup_epochs), visit("warmup_momentum", h.warmup_momentum);
  visit("warmup_bias_lr", h.warmup_bias_lr);
  visit("box", h.box), visit("cls", h.cls), visit("cls_pw", h.cls_pw), visit("obj", h.obj), visit("obj_pw", h.obj_pw);
  visit("iou_t", h.iou_t), visit("anchor_t", h.anchor_t), visit("anchors", h.anchors), visit("fl_gamma", h.fl_gamma);
  visit("hsv_h", h.hsv_h), visit("hsv_s", h.hsv_s), visit("hsv_v", h.hsv_v);
  visit("degrees", h.degrees), visit("translate", h.translate), visit("scale", h.scale), visit("shear", h.shear);
  visit("perspective", h.perspective), visit("flipud", h.flipud), visit("fliplr", h.fliplr);
  visit("mosaic", h.mosaic), visit("mixup", h.mixup), visit("copy_paste", h.copy_paste);
}

/// Calls visit(name, field) for every field of a ValidationSpec.
template <class Spec, class Visit>
void visit_validation(Spec& v, Visit&& visit) {
  visit("name", v.name), visit("placement", v.placement), visit("shard", v.shard), visit("overlap", v.overlap);
  visit("dedicated_ranks", v.dedicated_ranks), visit("interval", v.interval), visit("start_epoch", v.start_epoch);
  visit("dense_last", v.dense_last), visit("time_share", v.time_share);
  visit("subset_fraction", v.subset_fraction), visit("subset_count", v.subset_count),
      visit("subset_seed", v.subset_seed);
  visit("batch_size", v.batch_size), visit("batch_max", v.batch_max), visit("precision", v.precision), visit("shape", v.shape), visit("ema", v.ema);
  visit("loss", v.loss), visit("plots", v.plots), visit("save_json", v.save_json), visit("score", v.score);
  visit("score_threads", v.score_threads), visit("loader", v.loader), visit("cache", v.cache), visit("workers", v.workers);
}

/// Calls visit(name, field) for every field of a RunSpec.
template <class Spec, class Visit>
void visit_run_spec(Spec& s, Visit&& visit) {
  visit("schema_version", s.schema_version), visit("scenario", s.scenario), visit("run_id", s.run_id);
  visit("round", s.round), visit("order", s.order);
  visit("model", s.model), visit("weights", s.weights), visit("keep_anchors", s.keep_anchors);
  visit("data", s.data), visit("imgsz", s.imgsz);
  visit("epochs", s.epochs), visit("batch_size", s.batch_size), visit("ranks", s.ranks), visit("device", s.device);
  visit("device_ids", s.device_ids), visit("seed", s.seed), visit("hyp_name", s.hyp_name), visit("hyp", s.hyp);
  visit("cos_lr", s.cos_lr), visit("label_smoothing", s.label_smoothing), visit("workers", s.workers);
  visit("torch_threads", s.torch_threads), visit("amp", s.amp), visit("gradient_sync", s.gradient_sync);
  visit("cache", s.cache), visit("optimizer", s.optimizer), visit("freeze", s.freeze);
  visit("single_cls", s.single_cls), visit("sync_bn", s.sync_bn), visit("multi_scale", s.multi_scale);
  visit("rect", s.rect), visit("quad", s.quad), visit("image_weights", s.image_weights);
  visit("autoanchor", s.autoanchor), visit("deterministic", s.deterministic), visit("patience", s.patience);
  visit("save_period", s.save_period), visit("resume", s.resume), visit("resume_exact", s.resume_exact);
  visit("compat", s.compat), visit("save_checkpoints", s.save_checkpoints),
      visit("nosave", s.nosave);
  visit("oversubscribed", s.oversubscribed), visit("profile", s.profile), visit("verify", s.verify);
  visit("hang_timeout_s", s.hang_timeout_s);
  visit("validation", s.validation), visit("folder", s.folder);
}

}  // namespace valbench
