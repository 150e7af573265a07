#include "train/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/checksum.h"
#include "base/error.h"
#include "train/checkpoint.h"
#include "train/device.h"
#include "train/early_stopping.h"

namespace valbench {
namespace {

std::string tensor_checksum(const at::Tensor& flat) {
  const at::Tensor host = flat.detach().cpu().contiguous();
  return checksum_text(checksum({static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}));
}

void copy_phases(const Tracer& tracer, EpochRecord& record) {
  for (int p = 0; p < kPhaseCount; ++p) {
    const PhaseSum& sum = tracer.sum(static_cast<Phase>(p));
    if (sum.count == 0) continue;
    const std::string name(phase_name(static_cast<Phase>(p)));
    record.phase_s[name] = static_cast<double>(sum.total_ns) * 1e-9;
    record.phase_count[name] = sum.count;
  }
  record.val_s = static_cast<double>(tracer.sum(Phase::val_epoch).total_ns) * 1e-9;
  record.wait_s = static_cast<double>(tracer.sum(Phase::sync_wait).total_ns) * 1e-9;
}

}  // namespace

RankResult Trainer::run() {
  parts_.communicator.barrier();
  std::int64_t total_off_clock_ns = 0;
  const std::int64_t begin_ns = now_ns();
  for (int epoch = 0; epoch < parts_.spec.epochs; ++epoch) {
    run_epoch(epoch);
    total_off_clock_ns += off_clock_ns_;
  }
  for (ValidationResult& late : parts_.validation.drain()) result_.validations.push_back(std::move(late));
  result_.job_s = seconds_between(begin_ns + total_off_clock_ns, now_ns());
  return std::move(result_);
}

void Trainer::run_epoch(int epoch) {
  Tracer& tracer = parts_.tracer;
  tracer.set_epoch(epoch);
  tracer.reset_sums();
  parts_.communicator.set_epoch(epoch);
  off_clock_ns_ = 0;
  EpochRecord record{.rank = parts_.communicator.rank(), .epoch = epoch};
  const std::int64_t begin_ns = now_ns();
  train(epoch, record);
  record.train_s = seconds_between(begin_ns, now_ns());
  record_checksum();
  validate(epoch);
  save_checkpoints(epoch);
  {
    // The one collective at the end of an epoch: here the other ranks wait while rank 0 validates.
    const ScopedSpan span(tracer, Phase::sync_wait, epoch);
    parts_.communicator.barrier();
  }
  record.epoch_s = seconds_between(begin_ns + off_clock_ns_, now_ns());
  copy_phases(tracer, record);
  record.peak_memory_mib = peak_memory_mib(parts_.step.model_state().device());
  result_.epochs.push_back(std::move(record));
  result_.collectives.push_back(parts_.communicator.take_events());
}

void Trainer::train(int epoch, EpochRecord& record) {
  const ScopedSpan epoch_span(parts_.tracer, Phase::train_epoch, epoch);
  const bool report = parts_.communicator.rank() == 0 && parts_.progress;
  parts_.step.begin_epoch(epoch);
  parts_.loader.start(epoch);
  const auto batches = static_cast<std::int64_t>(parts_.loader.batches());
  for (std::int64_t index = 0; index < batches; ++index) {
    const ScopedSpan step_span(parts_.tracer, Phase::train_step, index);
    std::optional<Batch> batch;
    {
      const ScopedSpan span(parts_.tracer, Phase::train_data, index);
      batch = parts_.loader.next();
    }
    if (!batch) throw Error("the training loader ended before batch " + std::to_string(index));
    parts_.step.run(*batch, index);
    record.train_images += batch->images.size(0);
    ++record.steps;
    if (report) parts_.progress(epoch, index + 1, batches, "train");
  }
  parts_.step.end_epoch();
  // Reading the losses waits for the device, so that training's time ends where its work does.
  const at::Tensor losses = parts_.step.mean_loss_items();
  synchronize(parts_.step.model_state().device());
  record.loss_box = losses[0].item<double>();
  record.loss_obj = losses[1].item<double>();
  record.loss_cls = losses[2].item<double>();
  record.optimizer_steps = parts_.step.optimizer_steps();
}

void Trainer::record_checksum() {
  const std::int64_t begin_ns = now_ns();
  const ScopedSpan span(parts_.tracer, Phase::verify);
  result_.train_checksums.push_back(tensor_checksum(parts_.step.parameters()));
  // Ranks without an EMA hash as many bytes: off the clock must be off the clock for all, or they would wait for rank 0.
  const bool has_ema = parts_.step.ema_state().defined();
  ema_checksum_ = tensor_checksum(has_ema ? parts_.step.ema_state() : parts_.step.model_state());
  off_clock_ns_ += now_ns() - begin_ns;
}

void Trainer::validate(int epoch) {
  if (!parts_.schedule.due(epoch)) return;
  if (parts_.communicator.rank() == 0 && parts_.progress) parts_.progress(epoch, 0, 1, "validate");
  parts_.validation.submit({epoch, parts_.step.ema_state(), ema_checksum_});
  for (ValidationResult& ready : parts_.validation.take_ready()) result_.validations.push_back(std::move(ready));
}

void Trainer::save_checkpoints(int epoch) {
  if (parts_.communicator.rank() != 0 || !parts_.spec.save_checkpoints) return;
  const ScopedSpan span(parts_.tracer, Phase::checkpoint_save, epoch);
  const bool fresh = !result_.validations.empty() && result_.validations.back().epoch == epoch;
  const double value = fresh ? fitness(result_.validations.back().map50, result_.validations.back().map50_95) : 0;
  const CheckpointInfo info{epoch, value, parts_.class_names};
  const auto folder = parts_.spec.folder / "weights";
  save_checkpoint(folder / "last.safetensors", parts_.step.model(), parts_.step.ema_state(), info);
  if (fresh && value >= best_fitness_) {
    best_fitness_ = value;
    save_checkpoint(folder / "best.safetensors", parts_.step.model(), parts_.step.ema_state(), info);
  }
}

}  // namespace valbench
