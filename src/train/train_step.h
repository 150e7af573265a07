/// \file
/// One training step as YOLOv5 v7.0 has it (reference yolov5.md §4): warm-up, forward, loss, backward, gradient averaging, accumulation,
/// clipping, optimizer, EMA. Nothing in a step waits for the device.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>

#include "comm/communicator.h"
#include "data/data_loader.h"
#include "detect/detection_loss.h"
#include "detect/detection_model.h"
#include "scenario/run_spec.h"
#include "trace/tracer.h"
#include "train/optimizer.h"

namespace valbench {

/// What a step did. Tensors stay on the device; reading them waits for it.
struct StepReport {
  bool optimizer_step = false;
  at::Tensor loss_total;  ///< Scalar, as the loss returns it (times batch rows, before any world-size or AMP factor).
  at::Tensor loss_items;  ///< box, obj, cls of this batch.
  at::Tensor gradient_norm;  ///< L2 before clipping; undefined without an optimizer step.
  double lr[3] = {0, 0, 0};  ///< bias, weight, norm weight.
  double momentum = 0;
  double accumulate = 1;
};

/// Where the steps of a training are, beside weights, EMA and optimizer.
struct StepProgress {
  std::int64_t batches_per_epoch = 0;
  std::int64_t ema_updates = 0;
  std::int64_t last_step = -1;  ///< Batch of the last optimizer step, counted over all epochs; -1 = none, so the next batch takes one.
  StepRates rates;              ///< In force.
  double loss_scale = 65536;    ///< The gradient scaler's, with its count of good steps.
  std::int64_t good_steps = 0;
};

class TrainStep {
 public:
  /// Takes the EMA's copy, rounds the model to fp16 once as v7.0 does before training (§4.8) but not when it resumes, and gives every rank
  /// rank 0's weights.
  /// \param batches_per_epoch of this rank.
  TrainStep(const RunSpec& spec, DetectionModel& model, Communicator& communicator, Tracer& tracer, std::int64_t batches_per_epoch,
            c10::Device device);
  ~TrainStep();

  void begin_epoch(int epoch);  ///< Drops a partial accumulation (§4.5).
  StepReport run(const Batch& batch, std::int64_t batch_index);
  void end_epoch();             ///< Moves the learning-rate schedule on.

  at::Tensor mean_loss_items() const;  ///< (3) on the host: mean over the epoch's batches so far. Waits for the device.
  std::array<double, 3> lr() const;      ///< Of the last batch: bias, weight, norm weight.
  std::int64_t optimizer_steps() const;  ///< In this epoch.
  const at::Tensor& model_state() const;  ///< Flat state of the trained model, flat_state_layout order.
  const at::Tensor& parameters() const;   ///< The trainable part of model_state().
  const at::Tensor& ema_state() const;    ///< Flat EMA state; rank 0 only, undefined elsewhere.
  std::int64_t ema_updates() const;
  Optimizer& optimizer();  ///< For saving and restoring its state.
  StepProgress progress() const;  ///< Waits for the device.
  void restore(const StepProgress& progress, const at::Tensor& ema);  ///< `ema` on any device; ranks without an EMA leave it.
  const DetectionLoss& loss() const;
  DetectionModel& model();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace valbench
