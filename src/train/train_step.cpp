#include "train/train_step.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <optional>

#include "detect/norm_sync.h"
#include "train/ema.h"
#include "train/gradient_sync.h"
#include "train/lr_schedule.h"
#include "train/mixed_precision.h"
#include "train/multi_scale.h"
#include "train/optimizer.h"
#include "train/parameter_store.h"
#include "train/training_loss.h"

namespace valbench {
namespace {

constexpr double kMaxGradientNorm = 10.0;
constexpr int kQuadLossFactor = 4;   // A row of a quad batch holds four images.

/// v7.0 writes model.half().float() before the first step (§4.8): every weight becomes a value that fp16 can hold.
void round_to_half(const at::Tensor& state) { at::Tensor(state).copy_(state.to(at::kHalf)); }

std::optional<Ema> make_ema(const Communicator& communicator, const ParameterStore& store) {
  if (communicator.rank() != 0) return std::nullopt;
  return Ema(store.state());
}

ParameterStore make_store(DetectionModel& model, c10::Device device, const std::vector<int>& freeze) {
  model.to(device, at::kFloat);
  if (device.is_cuda()) use_channels_last(model.state());
  return ParameterStore(model, freeze);
}

/// Empty where batch norm keeps to a rank's own images.
SumOverRanks norm_sum(const RunSpec& spec, Communicator& communicator) {
  if (!spec.sync_bn || communicator.world_size() == 1) return {};
  return [&communicator](const at::Tensor& tensor) { communicator.all_reduce_sum(tensor)->wait(); };
}

}  // namespace

struct TrainStep::State {
  State(const RunSpec& run, DetectionModel& trained, Communicator& comm, Tracer& trace, std::int64_t batches_per_epoch, c10::Device dev)
      : spec(run),
        model(trained),
        communicator(comm),
        tracer(trace),
        device(dev),
        store(make_store(trained, dev, run.freeze)),
        ema(make_ema(comm, store)),
        schedule(run.hyp, run.cos_lr, run.epochs, run.batch_size, batches_per_epoch),
        optimizer(make_optimizer(run.optimizer, store, scaled_weight_decay(run.hyp.weight_decay, run.batch_size), run.hyp.momentum)),
        scaler(dev),
        sync(store, comm),
        sum_over_ranks(norm_sum(run, comm)),
        loss_sum(at::zeros({3}, at::TensorOptions().device(dev).dtype(at::kFloat))),
        batches(batches_per_epoch) {
    const c10::NoGradGuard no_gradients;
    if (run.resume.empty()) round_to_half(store.state());
    communicator.broadcast(store.state(), 0);
    loss.emplace(make_training_loss(run, trained));
  }

  void optimize(const StepRates& rates, StepReport& report);
  at::Tensor images_of(const Batch& batch, std::int64_t index) const;
  at::Tensor objective(const at::Tensor& images, const at::Tensor& targets, std::int64_t index, StepReport& report);

  const RunSpec& spec;
  DetectionModel& model;
  Communicator& communicator;
  Tracer& tracer;
  c10::Device device;
  ParameterStore store;
  std::optional<Ema> ema;
  LrSchedule schedule;
  std::unique_ptr<Optimizer> optimizer;
  GradientScaler scaler;
  GradientReducer sync;
  SumOverRanks sum_over_ranks;
  std::optional<DetectionLoss> loss;
  at::Tensor loss_sum;
  std::int64_t batches;
  std::int64_t batches_in_epoch = 0, optimizer_steps = 0, last_step = -1;
  int epoch = 0;
};

void TrainStep::State::optimize(const StepRates& rates, StepReport& report) {
  const c10::NoGradGuard no_gradients;
  const bool scaled = spec.amp == AmpMode::fp16;
  {
    const ScopedSpan span(tracer, Phase::train_optimizer, batches_in_epoch);
    if (scaled) scaler.unscale(store.gradients());
    report.gradient_norm = clip_gradient_norm(store.gradients(), kMaxGradientNorm);
    optimizer->step(rates, scaled ? std::optional<at::Tensor>(scaler.found_inf()) : std::nullopt);
    if (scaled) scaler.update();
    store.zero_gradients();
  }
  ++optimizer_steps;
  report.optimizer_step = true;
  if (!ema) return;
  const ScopedSpan span(tracer, Phase::train_ema, batches_in_epoch);
  ema->update(store.state());
}

at::Tensor TrainStep::State::images_of(const Batch& batch, std::int64_t index) const {
  const auto layout = device.is_cuda() ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  const at::Tensor images = batch.images.to(device, /*non_blocking=*/true).to(at::kFloat, false, false, layout).div_(255);
  if (!spec.multi_scale) return images;
  const int stride = size_multiple(model);
  return resize_batch(images, draw_batch_size(spec.seed, communicator.rank(), epoch, index, spec.imgsz, stride), stride);
}

at::Tensor TrainStep::State::objective(const at::Tensor& images, const at::Tensor& targets, std::int64_t index, StepReport& report) {
  const AutocastScope autocast(spec.amp);
  std::vector<at::Tensor> raw;
  {
    const ScopedSpan span(tracer, Phase::train_forward, index);
    const NormSyncScope norm_sync(sum_over_ranks);
    raw = model.forward(images, /*training=*/true);
  }
  const ScopedSpan span(tracer, Phase::train_loss, index);
  const LossResult result = (*loss)(raw, targets);
  report.loss_total = result.total.detach();
  report.loss_items = result.items;
  const int factor = communicator.world_size() * (spec.quad ? kQuadLossFactor : 1);
  const at::Tensor scaled = factor > 1 ? result.total * factor : result.total;
  return spec.amp == AmpMode::fp16 ? scaler.scale(scaled) : scaled;
}

TrainStep::TrainStep(const RunSpec& spec, DetectionModel& model, Communicator& communicator, Tracer& tracer,
                     std::int64_t batches_per_epoch, c10::Device device)
    : state_(std::make_unique<State>(spec, model, communicator, tracer, batches_per_epoch, device)) {}

TrainStep::~TrainStep() = default;

void TrainStep::begin_epoch(int epoch) {
  State& s = *state_;
  const c10::NoGradGuard no_gradients;
  s.epoch = epoch;
  s.batches_in_epoch = s.optimizer_steps = 0;
  s.loss_sum.zero_();
  s.store.zero_gradients();
}

StepReport TrainStep::run(const Batch& batch, std::int64_t index) {
  State& s = *state_;
  const std::int64_t ni = index + s.batches * s.epoch;
  const StepRates rates = s.schedule.at(s.epoch, index);
  const bool step_due = static_cast<double>(ni - s.last_step) >= rates.accumulate;
  StepReport report{.lr = {rates.lr[0], rates.lr[1], rates.lr[2]}, .momentum = rates.momentum, .accumulate = rates.accumulate};
  at::Tensor images, targets;
  {
    const ScopedSpan span(s.tracer, Phase::train_h2d, index);
    images = s.images_of(batch, index);
    targets = batch.targets.to(s.device, /*non_blocking=*/true);
  }
  if (s.communicator.world_size() > 1) {
    // DDP's broadcast_buffers: rank 0's running statistics are everyone's before each forward pass.
    const ScopedSpan span(s.tracer, Phase::train_sync, index);
    s.communicator.broadcast(s.store.buffers(), 0);
  }
  const at::Tensor objective = s.objective(images, targets, index, report);
  s.sync.arm(s.spec.gradient_sync == GradientSync::micro_batch || step_due);
  {
    const ScopedSpan span(s.tracer, Phase::train_backward, index);
    objective.backward();
  }
  {
    const ScopedSpan span(s.tracer, Phase::train_sync, index);
    s.sync.finish();
  }
  if (step_due) {
    s.optimize(rates, report);
    s.last_step = ni;
  }
  const c10::NoGradGuard no_gradients;
  s.loss_sum.add_(report.loss_items);
  ++s.batches_in_epoch;
  return report;
}

void TrainStep::end_epoch() { state_->schedule.end_epoch(state_->epoch); }

at::Tensor TrainStep::mean_loss_items() const {
  return state_->loss_sum.cpu() / static_cast<double>(std::max<std::int64_t>(1, state_->batches_in_epoch));
}
std::array<double, 3> TrainStep::lr() const { return state_->schedule.current().lr; }
std::int64_t TrainStep::optimizer_steps() const { return state_->optimizer_steps; }
const at::Tensor& TrainStep::model_state() const { return state_->store.state(); }
const at::Tensor& TrainStep::parameters() const { return state_->store.parameters(); }
const at::Tensor& TrainStep::ema_state() const {
  static const at::Tensor undefined;
  return state_->ema ? state_->ema->state() : undefined;
}
std::int64_t TrainStep::ema_updates() const { return state_->ema ? state_->ema->updates() : 0; }
StepProgress TrainStep::progress() const {
  const State& s = *state_;
  return {s.batches, ema_updates(), s.last_step, s.schedule.current(), s.scaler.factor(), s.scaler.good_steps()};
}
void TrainStep::restore(const StepProgress& progress, const at::Tensor& ema) {
  State& s = *state_;
  if (s.ema) s.ema->restore(ema, progress.ema_updates);
  s.last_step = progress.last_step;
  s.schedule.restore(progress.rates);
  s.scaler.restore(progress.loss_scale, progress.good_steps);
}
Optimizer& TrainStep::optimizer() { return *state_->optimizer; }
const DetectionLoss& TrainStep::loss() const { return *state_->loss; }
DetectionModel& TrainStep::model() { return state_->model; }

}  // namespace valbench
