/// \file
/// The training run of one rank: epochs of training, validation when due, checkpoints, and the record of it all. Names no strategy,
/// schedule, profiler or communicator.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/data_loader.h"
#include "record/run_record.h"
#include "trace/tracer.h"
#include "train/checkpoint.h"
#include "train/checkpoint_files.h"
#include "train/epoch_report.h"
#include "train/train_step.h"
#include "train/validation_ledger.h"
#include "validate/time_share.h"
#include "validate/validation_schedule.h"
#include "validate/validation_strategy.h"

namespace valbench {

/// Told where the run is; called on rank 0 only.
using ProgressSink = std::function<void(int epoch, std::int64_t batch, std::int64_t batches, const char* phase)>;

/// What a trainer works with; all of it outlives the trainer.
struct TrainerParts {
  const RunSpec& spec;
  Communicator& communicator;
  Tracer& tracer;
  TrainStep& step;
  DataLoader& loader;
  const ValidationSchedule& schedule;
  ValidationStrategy& validation;
  ProgressSink progress;
  std::vector<std::string> class_names;
  EpochSink on_epoch = {};
  int first_epoch = 0;      ///< Where a resumed run goes on.
  double best_fitness = 0;  ///< Of the epochs before.
  int best_epoch = -1;      ///< The one with it; -1 = none, or not known.
  BatchSink on_batch = {};
  std::optional<EarlyStopping::Progress> stopping = {};  ///< Of an exact continuation, as `class_map` is.
  std::vector<double> class_map = {};
  std::string model_yaml = {};  ///< Of a model file, for the checkpoints.
};

/// What one rank measured.
struct RankResult {
  std::vector<EpochRecord> epochs;
  std::vector<std::vector<CollectiveEvent>> collectives;  ///< Per epoch.
  std::vector<ValidationRecord> validations;              ///< Rank 0; ascending by epoch.
  int best_epoch = -1;                                    ///< Rank 0, as in the record.
  std::vector<SkippedValidation> skipped;                 ///< Rank 0: snapshots that were not scored.
  std::vector<std::string> train_checksums;               ///< Per epoch, of this rank's trained weights.
  std::vector<std::string> invalid_reasons;               ///< What this rank has seen that makes the run INVALID.
  std::vector<std::string> warnings;                      ///< What the record says of this rank.
  double job_s = 0;                                       ///< Without the checksums.
  std::string clock = {};                                 ///< host_clock() of the rank, where results have come together.
  std::vector<GpuTraceRecord> gpu_traces;                 ///< Of a traced run: this rank's.
  std::vector<GpuPhaseRecord> gpu_phases;
};

class Trainer {
 public:
  explicit Trainer(TrainerParts parts)
      : parts_(std::move(parts)),
        ledger_(stopping_of(parts_), parts_.best_fitness, parts_.first_epoch, parts_.best_epoch),
        time_share_(parts_.spec.validation.time_share),
        class_map_(parts_.class_map),
        checkpoints_(parts_.spec.folder / "weights") {
    last_end_.possible_stop = parts_.stopping && ledger_.stopping().possible_stop();
    last_end_.validate = parts_.schedule.due(parts_.first_epoch);
  }
  RankResult run();

 private:
  /// What rank 0 decides at the end of an epoch, for all ranks.
  struct EpochEnd {
    bool stop = false;           ///< The run ends here.
    bool possible_stop = false;  ///< The next epoch may be the last, so it is validated and saved.
    bool validate = false;       ///< The next epoch is validated.
  };

  bool run_epoch(int epoch);
  void train(int epoch, EpochRecord& record);
  void validate(int epoch);
  void submit(int epoch, bool required);
  /// Does `validate` with the weights checked before and after.
  void guarded(int epoch, const std::function<void()>& validate);
  void receive(std::vector<ValidationResult> results);
  void drain(int last_epoch);
  void record_checksum();
  double job_seconds() const;
  EpochEnd conclude(int epoch, const EpochRecord& record);
  EpochEnd share(EpochEnd end);
  void save_checkpoints(int epoch, bool final_epoch);
  void save_late_best(bool final_epoch);
  CheckpointInfo info_of(int epoch, at::Tensor batches_tracked = {}) const;
  static EarlyStopping stopping_of(const TrainerParts& parts);

  TrainerParts parts_;
  RankResult result_;
  ValidationLedger ledger_;
  ValidationResult best_;  ///< The best so far, until its checkpoint is saved; nothing in between.
  at::Tensor best_batches_tracked_;
  bool new_best_ = false;  ///< There is one in best_.
  int submitted_epoch_ = -1;
  std::map<int, at::Tensor> batches_tracked_;  ///< Of the epochs whose result is pending.
  TimeShare time_share_;  ///< Rank 0's.
  EpochEnd last_end_;
  std::array<double, 3> lr_{};  ///< At the epoch's end, before the scheduler's step.
  std::int64_t begin_ns_ = 0;
  std::int64_t off_clock_ns_ = 0;  ///< Spent on checksums since the epoch began; taken off every time that is reported.
  std::int64_t total_off_clock_ns_ = 0;  ///< Of the epochs before.
  std::vector<double> class_map_;  ///< Of the last validation, where images are drawn by it.
  std::string ema_checksum_;
  CheckpointFiles checkpoints_;
};

}  // namespace valbench
