/// \file
/// All that a training needs to go on, as its checkpoints hold it: valbench's own (safetensors, every entry of it named `train.…`) and
/// YOLOv5's .pt (reference yolov5.md §4.10). No random state is among it: every draw of a training depends on seed, epoch and item alone.
#pragma once
#include <filesystem>
#include <optional>
#include <vector>

#include "detect/weights/pt_checkpoint.h"
#include "detect/weights/safetensors.h"
#include "scenario/resume_facts.h"
#include "train/early_stopping.h"
#include "train/train_step.h"

namespace valbench {

/// What the loop over epochs remembers, beside what its steps do.
struct LoopProgress {
  int epoch = -1;  ///< The last finished one: the sampler goes on at batch 0 of the next.
  double best_fitness = 0;
  EarlyStopping::Progress stopping;
  std::vector<double> class_map;  ///< Of the last validation, for image weights; empty = none.
  int best_epoch = -1;            ///< -1 = none, or not known.
};

/// A checkpoint's training state, in tensors by state_dict name.
struct TrainingState {
  ResumeFacts facts;
  LoopProgress loop;
  StepProgress step;
  NamedTensors model, ema;
  NamedTensors optimizer;            ///< `momentum_buffer.model.0.conv.weight`
  double optimizer_steps = 0;
  std::optional<PtOptimizer> numbered;  ///< In place of `optimizer` in a .pt.
};

/// Adds all of it to a checkpoint that is about to be written. Waits for the device.
void add_training_state(const RunSpec& spec, TrainStep& step, const LoopProgress& loop, SafetensorsFile& content);

/// Takes it away again: what stays is what a finished training leaves (§4.10).
void remove_training_state(SafetensorsFile& content);

/// Reads either kind of file; the content decides, not the name. A file without training state gives facts that check_resumable() refuses.
/// Throws InputError for a file that is no checkpoint.
TrainingState read_training_state(const std::filesystem::path& file);

}  // namespace valbench
