/// \file
/// A training taken up again (reference yolov5.md §4.11): from YOLOv5's .pt or our own checkpoints as YOLOv5 does it, where weights and EMA
/// come back in fp16 and the scaler, early stopping and accumulation begin anew; or exactly, as if it had never stopped.
#pragma once
#include <optional>

#include "train/trainer.h"
#include "train/training_state.h"

namespace valbench {

/// What the spec resumes from, with the weights laid into the model; nothing where it starts anew. Before TrainStep.
/// Throws InputError where the checkpoint is of another training.
std::optional<TrainingState> load_resumed(const RunSpec& spec, DetectionModel& model);

/// Optimizer, EMA and schedule. Throws InputError where the checkpoint's entries are not those of the model.
void restore_step(const RunSpec& spec, const TrainingState& from, TrainStep& step);

/// Where the loop over epochs goes on. Throws InputError where an exact one would have other batches.
void restore_loop(const RunSpec& spec, const TrainingState& from, TrainerParts& parts);

}  // namespace valbench
