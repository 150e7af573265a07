/// \file
/// The training run of one rank: epochs of training, validation when due, checkpoints, and the record of it all. Names no strategy,
/// schedule, profiler or communicator.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/data_loader.h"
#include "record/run_record.h"
#include "trace/tracer.h"
#include "train/early_stopping.h"
#include "train/epoch_report.h"
#include "train/train_step.h"
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
  BatchSink on_batch = {};
  std::optional<EarlyStopping::Progress> stopping = {};  ///< Of an exact continuation, as `class_map` is.
  std::vector<double> class_map = {};
};

/// What one rank measured.
struct RankResult {
  std::vector<EpochRecord> epochs;
  std::vector<std::vector<CollectiveEvent>> collectives;  ///< Per epoch.
  std::vector<ValidationRecord> validations;              ///< Rank 0.
  std::vector<std::string> train_checksums;               ///< Per epoch, of this rank's trained weights.
  double job_s = 0;                                       ///< Without the checksums.
  std::vector<GpuTraceRecord> gpu_traces;                 ///< Of a traced run: this rank's.
  std::vector<GpuPhaseRecord> gpu_phases;
};

class Trainer {
 public:
  explicit Trainer(TrainerParts parts)
      : parts_(std::move(parts)),
        stopping_(parts_.spec.patience, parts_.spec.compat),
        best_fitness_(parts_.best_fitness),
        class_map_(parts_.class_map) {
    if (!parts_.stopping) return;
    stopping_.restore(*parts_.stopping);
    last_end_.possible_stop = stopping_.possible_stop();
  }
  RankResult run();

 private:
  /// What rank 0 decides at the end of an epoch, for all ranks.
  struct EpochEnd {
    bool stop = false;           ///< The run ends here.
    bool possible_stop = false;  ///< The next epoch may be the last, so it is validated and saved.
  };

  bool run_epoch(int epoch);
  void train(int epoch, EpochRecord& record);
  void validate(int epoch);
  void record_checksum();
  bool final_epoch(int epoch) const;
  EpochEnd conclude(int epoch, const EpochRecord& record);
  EpochEnd share(EpochEnd end);
  void save_checkpoints(int epoch, double fitness, bool is_best);

  TrainerParts parts_;
  RankResult result_;
  EarlyStopping stopping_;
  EpochEnd last_end_;
  std::array<double, 3> lr_{};  ///< At the epoch's end, before the scheduler's step.
  std::int64_t off_clock_ns_ = 0;  ///< Spent on checksums since the epoch began; taken off every time that is reported.
  double best_fitness_;
  std::vector<double> class_map_;  ///< Of the last validation, where images are drawn by it.
  std::string ema_checksum_;
};

}  // namespace valbench
