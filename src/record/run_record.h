/// \file
/// What one run measured. run.json is this, written by rename once all is measured: its presence means the run is complete.
#pragma once
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenario/run_spec.h"

namespace valbench {

inline constexpr int kRunRecordVersion = 2;

/// A number, or the reason why there is none. Never 0 for "not measured".
struct Measured {
  std::optional<double> value;
  std::string reason;  ///< Non-empty when value is empty: `not measured (one rank)`.
  static Measured of(double v) { return {v, {}}; }
  static Measured not_measured(std::string why) { return {std::nullopt, std::move(why)}; }
};

/// One epoch on one rank. Times in seconds of the monotonic clock.
struct EpochRecord {
  int rank = 0;
  int epoch = 0;
  double epoch_s = 0;   ///< Whole epoch: training, validation, checkpoint, waiting at its end.
  double train_s = 0;   ///< First batch to last optimizer step.
  /// This rank's own validation work, 0 on a rank that only waits; under overlapped and deferred what held training up.
  double val_s = 0;
  double wait_s = 0;    ///< Waiting at the end of the epoch for the slowest rank (phase sync.wait).
  Measured comm_wait_s;      ///< In gradient collectives, waiting for the last rank to arrive.
  Measured comm_transfer_s;  ///< In gradient collectives, after the last rank arrived.
  std::int64_t train_images = 0, steps = 0, optimizer_steps = 0;
  std::int64_t val_images = 0;  ///< Images of this epoch's validation, on rank 0's row.
  double loss_box = 0, loss_obj = 0, loss_cls = 0;  ///< Mean training loss items.
  std::map<std::string, double> phase_s;            ///< Dotted phase name -> seconds in this epoch.
  std::map<std::string, std::int64_t> phase_count;
  double peak_memory_mib = 0;
};

struct ClassRecord {
  int cls = 0;
  std::int64_t labels = 0;
  double precision = 0, recall = 0, map50 = 0, map50_95 = 0;
};

/// One validation of one snapshot. Doubles are written with 17 digits so that equality in the file is equality of bits.
struct ValidationRecord {
  int epoch = 0;
  std::string weights_checksum;  ///< Of the weights scored, hexadecimal.
  std::int64_t images = 0, labels = 0, detections = 0;
  std::int64_t pixels = 0;                ///< Of the network's input, padding included.
  std::int64_t candidate_limit_hits = 0;  ///< Images with more NMS candidates than are looked at.
  std::int64_t detection_limit_hits = 0;  ///< Images with more detections than are kept.
  double precision = 0, recall = 0, map50 = 0, map50_95 = 0;
  std::array<double, 3> loss{};  ///< box, obj, cls; mean over batches in batch order.
  std::vector<ClassRecord> classes;
  double seconds = 0;            ///< From submit to result on rank 0; beside training: of the scoring alone.
  double submitted_s = 0;        ///< When its snapshot was submitted, by the clock of job_s.
  double known_s = 0;            ///< When training knew the result, by the same clock.
  int late_epochs = 0;           ///< Epochs that had ended by then, its own among them; 0 = its own had not.
  std::map<std::string, double> phase_s;  ///< Of a validation beside training: phase name -> seconds. Else they are the epoch's.
  int batch_size = 0;
  std::string precision_used;    ///< fp32, fp16, bf16.
};

/// A validation that was due and given up: the ranks that only validate were not free.
struct SkippedValidation {
  int epoch = 0;
  std::string reason;
};

/// The exactness gate: snapshots re-scored by the rank0 placement, and by full-set fp32 rank0.
struct ExactnessRecord {
  std::string exact = "not_claimed";      ///< Equal to rank 0's own validation bit for bit: true | false | not_claimed
  std::string first_difference;           ///< `epoch 2: image 3 (a.jpg), detection 0: score 0.5 != 0.4`; where one was found.
  std::vector<int> checked_epochs;        ///< Whose snapshots were scored again.
  std::string unlike_full_set;            ///< `subset 3 of 13 images, shape square`: why the deltas need not be 0. Empty: no reason.
  Measured map50_95_delta;                ///< Strategy minus full-set fp32 rank0, same snapshot.
  Measured map50_delta;
  /// Of a subset, last checked epoch, by an image bootstrap: how far mAP50-95 moves with the choice of the images, and sets of its size are
  /// off on average.
  Measured map50_95_se, map50_95_bias;

  /// None of the numbers, for one reason.
  static ExactnessRecord unchecked(const std::string& reason) {
    ExactnessRecord record;
    record.map50_95_delta = record.map50_delta = record.map50_95_se = record.map50_95_bias = Measured::not_measured(reason);
    return record;
  }
};

/// Where the run ran.
struct MachineRecord {
  std::string host_cpu;
  int cores = 0;
  double memory_gib = 0;
  std::string gpu;         ///< `NVIDIA H200`; empty without one.
  std::string os;
  std::map<std::string, std::string> versions;  ///< valbench, libtorch, cuda, nccl, driver, …
};

/// GPU time that one phase of one epoch launched, from a traced run.
struct GpuPhaseRecord {
  int rank = 0, epoch = 0;
  std::string phase;  ///< Dotted name; `none` for what was launched outside of every span.
  double kernel_s = 0, comm_s = 0, memcpy_s = 0;  ///< Sums of durations; memcpy_s holds copies and fills.
  std::int64_t kernels = 0, comm_kernels = 0, copies = 0;
};

/// One rank's GPU trace. The breakdown adds up to wall_s: every instant belongs to the first class that applies.
struct GpuTraceRecord {
  int rank = 0;
  bool available = false;
  std::string reason;               ///< Why nothing was traced; empty when available.
  std::vector<std::string> health;  ///< What was lost or went wrong, one sentence each.
  int first_epoch = 0;              ///< Where the window begins; it ends after the last validation.
  Measured wall_s, compute_s, comm_transfer_s, comm_wait_s, memcpy_s, idle_s;
  Measured none_share;  ///< Share of the GPU time launched outside of every span.
  std::int64_t kernels = 0, comm_kernels = 0, copies = 0;
  std::int64_t dropped = 0, invalid = 0, orphans = 0, missing = 0;  ///< Records lost; all 0 in a complete trace.
};

struct RunRecord {
  int schema_version = kRunRecordVersion;
  std::string status = "complete";  ///< complete | failed | interrupted
  std::string failure;              ///< Why, when not complete.
  RunSpec spec;
  MachineRecord machine;
  double job_s = 0;       ///< First train step to last validation result and checkpoint, slowest rank, exactness checks left out.
  double startup_s = 0;   ///< Process start to first train step, rank 0.
  std::int64_t begin_realtime_ns = 0, begin_monotonic_ns = 0;  ///< Clock pair at start, rank 0.
  std::vector<EpochRecord> epochs;            ///< Ascending by epoch, then rank.
  std::vector<ValidationRecord> validations;  ///< Ascending by epoch.
  int best_epoch = -1;                        ///< Of the whole training, before a resume too; -1 = none, or not known.
  std::vector<SkippedValidation> skipped_validations;  ///< Ascending by epoch.
  std::vector<std::string> train_checksums;   ///< Weights after each epoch.
  ExactnessRecord exactness;
  std::vector<GpuTraceRecord> gpu_traces;     ///< One per rank of a traced run, else empty.
  std::vector<GpuPhaseRecord> gpu_phases;     ///< Ascending by rank, epoch, phase; only phases with GPU work.
  std::vector<std::string> warnings;          ///< E.g. `2 label files left out`.
  std::vector<std::string> invalid_reasons;   ///< Non-empty makes comparisons with this run INVALID.
  bool timing_comparable = true;              ///< false: shared GPU, oversubscribed, traced; reason in timing_note.
  std::string timing_note;
};

std::string run_record_to_json(const RunRecord& record);
RunRecord run_record_from_json(const std::string& text);
/// Writes by rename. Throws RecordError with the file and the system's reason.
void write_run_record(const RunRecord& record, const std::filesystem::path& file);
RunRecord read_run_record(const std::filesystem::path& file);

}  // namespace valbench
