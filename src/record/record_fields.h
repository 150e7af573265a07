/// \file
/// The fields of a run record by their names in run.json: written and read by one list.
#pragma once
#include <type_traits>

#include "record/run_record.h"

namespace valbench {

template <class T, class Struct>
concept MaybeConst = std::is_same_v<std::remove_const_t<T>, Struct>;

template <MaybeConst<EpochRecord> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("rank", r.rank);
  visit("epoch", r.epoch);
  visit("epoch_s", r.epoch_s);
  visit("train_s", r.train_s);
  visit("val_s", r.val_s);
  visit("wait_s", r.wait_s);
  visit("comm_wait_s", r.comm_wait_s);
  visit("comm_transfer_s", r.comm_transfer_s);
  visit("train_images", r.train_images);
  visit("steps", r.steps);
  visit("optimizer_steps", r.optimizer_steps);
  visit("val_images", r.val_images);
  visit("loss_box", r.loss_box);
  visit("loss_obj", r.loss_obj);
  visit("loss_cls", r.loss_cls);
  visit("phase_s", r.phase_s);
  visit("phase_count", r.phase_count);
  visit("peak_memory_mib", r.peak_memory_mib);
}

template <MaybeConst<ClassRecord> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("cls", r.cls);
  visit("labels", r.labels);
  visit("precision", r.precision);
  visit("recall", r.recall);
  visit("map50", r.map50);
  visit("map50_95", r.map50_95);
}

template <MaybeConst<ValidationRecord> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("epoch", r.epoch);
  visit("weights_checksum", r.weights_checksum);
  visit("images", r.images);
  visit("labels", r.labels);
  visit("detections", r.detections);
  visit("pixels", r.pixels);
  visit("candidate_limit_hits", r.candidate_limit_hits);
  visit("detection_limit_hits", r.detection_limit_hits);
  visit("precision", r.precision);
  visit("recall", r.recall);
  visit("map50", r.map50);
  visit("map50_95", r.map50_95);
  visit("loss", r.loss);
  visit("classes", r.classes);
  visit("seconds", r.seconds);
  visit("submitted_s", r.submitted_s);
  visit("known_s", r.known_s);
  visit("late_epochs", r.late_epochs);
  visit("phase_s", r.phase_s);
  visit("batch_size", r.batch_size);
  visit("precision_used", r.precision_used);
}

template <MaybeConst<SkippedValidation> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("epoch", r.epoch);
  visit("reason", r.reason);
}

template <MaybeConst<ExactnessRecord> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("exact", r.exact);
  visit("first_difference", r.first_difference);
  visit("checked_epochs", r.checked_epochs);
  visit("unlike_full_set", r.unlike_full_set);
  visit("map50_95_delta", r.map50_95_delta);
  visit("map50_delta", r.map50_delta);
  visit("map50_95_se", r.map50_95_se);
  visit("map50_95_bias", r.map50_95_bias);
}

template <MaybeConst<MachineRecord> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("host_cpu", r.host_cpu);
  visit("cores", r.cores);
  visit("memory_gib", r.memory_gib);
  visit("gpu", r.gpu);
  visit("os", r.os);
  visit("versions", r.versions);
}

template <MaybeConst<GpuPhaseRecord> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("rank", r.rank);
  visit("epoch", r.epoch);
  visit("phase", r.phase);
  visit("kernel_s", r.kernel_s);
  visit("comm_s", r.comm_s);
  visit("memcpy_s", r.memcpy_s);
  visit("kernels", r.kernels);
  visit("comm_kernels", r.comm_kernels);
  visit("copies", r.copies);
}

template <MaybeConst<GpuTraceRecord> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("rank", r.rank);
  visit("available", r.available);
  visit("reason", r.reason);
  visit("health", r.health);
  visit("first_epoch", r.first_epoch);
  visit("wall_s", r.wall_s);
  visit("compute_s", r.compute_s);
  visit("comm_transfer_s", r.comm_transfer_s);
  visit("comm_wait_s", r.comm_wait_s);
  visit("memcpy_s", r.memcpy_s);
  visit("idle_s", r.idle_s);
  visit("none_share", r.none_share);
  visit("kernels", r.kernels);
  visit("comm_kernels", r.comm_kernels);
  visit("copies", r.copies);
  visit("dropped", r.dropped);
  visit("invalid", r.invalid);
  visit("orphans", r.orphans);
  visit("missing", r.missing);
}

template <MaybeConst<RunRecord> T, class Visitor>
void visit_fields(T& r, Visitor&& visit) {
  visit("schema_version", r.schema_version);
  visit("status", r.status);
  visit("failure", r.failure);
  visit("spec", r.spec);
  visit("machine", r.machine);
  visit("job_s", r.job_s);
  visit("startup_s", r.startup_s);
  visit("begin_realtime_ns", r.begin_realtime_ns);
  visit("begin_monotonic_ns", r.begin_monotonic_ns);
  visit("epochs", r.epochs);
  visit("validations", r.validations);
  visit("best_epoch", r.best_epoch);
  visit("skipped_validations", r.skipped_validations);
  visit("train_checksums", r.train_checksums);
  visit("exactness", r.exactness);
  visit("gpu_traces", r.gpu_traces);
  visit("gpu_phases", r.gpu_phases);
  visit("warnings", r.warnings);
  visit("invalid_reasons", r.invalid_reasons);
  visit("timing_comparable", r.timing_comparable);
  visit("timing_note", r.timing_note);
}

}  // namespace valbench
