#include "train/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/checksum.h"
#include "base/error.h"
#include "train/checkpoint.h"
#include "train/checkpoint_plan.h"
#include "train/device.h"
#include "train/early_stopping.h"
#include "train/training_state.h"

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

// mAP50-95 by class; classes without labels count as the mean, as in YOLOv5.
std::vector<double> class_map(const ValidationRecord& record, std::size_t classes) {
  std::vector<double> map(classes, record.map50_95);
  for (const ClassRecord& c : record.classes) {
    if (c.labels > 0) map.at(static_cast<std::size_t>(c.cls)) = c.map50_95;
  }
  return map;
}

}  // namespace

RankResult Trainer::run() {
  parts_.communicator.barrier();
  std::int64_t total_off_clock_ns = 0;
  const std::int64_t begin_ns = now_ns();
  for (int epoch = parts_.first_epoch; epoch < parts_.spec.epochs; ++epoch) {
    const bool stop = run_epoch(epoch);
    total_off_clock_ns += off_clock_ns_;
    if (stop) break;
  }
  for (ValidationResult& late : parts_.validation.drain()) result_.validations.push_back(std::move(late));
  result_.job_s = seconds_between(begin_ns + total_off_clock_ns, now_ns());
  return std::move(result_);
}

bool Trainer::run_epoch(int epoch) {
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
  EpochEnd end;
  if (parts_.communicator.rank() == 0) end = conclude(epoch, record);
  {
    // The one exchange at the end of an epoch: here the other ranks wait while rank 0 validates.
    const ScopedSpan span(tracer, Phase::sync_wait, epoch);
    last_end_ = share(end);
  }
  record.epoch_s = seconds_between(begin_ns + off_clock_ns_, now_ns());
  copy_phases(tracer, record);
  record.peak_memory_mib = peak_memory_mib(parts_.step.model_state().device());
  result_.epochs.push_back(std::move(record));
  result_.collectives.push_back(parts_.communicator.take_events());
  return last_end_.stop;
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
    if (report && !parts_.on_batch) parts_.progress(epoch, index + 1, batches, "train");
    if (parts_.on_batch) {
      parts_.on_batch({epoch, index + 1, batches, batch->targets.size(0), batch->images.size(3), parts_.step});
    }
  }
  lr_ = parts_.step.lr();
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

bool Trainer::final_epoch(int epoch) const { return epoch + 1 == parts_.spec.epochs || last_end_.possible_stop; }

void Trainer::validate(int epoch) {
  if (!parts_.schedule.due(epoch) && !last_end_.possible_stop) return;
  if (parts_.communicator.rank() == 0 && parts_.progress) parts_.progress(epoch, 0, 1, "validate");
  parts_.validation.submit({epoch, parts_.step.ema_state(), ema_checksum_});
  for (ValidationResult& ready : parts_.validation.take_ready()) result_.validations.push_back(std::move(ready));
  if (parts_.spec.image_weights && !result_.validations.empty()) {
    class_map_ = class_map(result_.validations.back(), parts_.class_names.size());
    parts_.loader.set_class_map(class_map_);
  }
}

Trainer::EpochEnd Trainer::conclude(int epoch, const EpochRecord& record) {
  const bool fresh = !result_.validations.empty() && result_.validations.back().epoch == epoch;
  const ValidationRecord* validation = fresh ? &result_.validations.back() : nullptr;
  const double value = fresh ? fitness(validation->map50, validation->map50_95) : 0;
  const bool is_best = fresh && value >= best_fitness_;
  if (is_best) best_fitness_ = value;
  const bool stop = stopping_.update(epoch, value);
  if (parts_.on_epoch) {
    parts_.on_epoch({.record = record,
                     .validation = validation,
                     .lr = lr_,
                     .best = is_best,
                     .last = stop || epoch + 1 == parts_.spec.epochs});
  }
  save_checkpoints(epoch, value, is_best);
  return {stop, stopping_.possible_stop()};
}

Trainer::EpochEnd Trainer::share(EpochEnd end) {
  const std::array bytes{static_cast<std::byte>(end.stop), static_cast<std::byte>(end.possible_stop)};
  const std::vector<std::byte> shared = parts_.communicator.broadcast_bytes(bytes, 0);
  return {shared.at(0) != std::byte{0}, shared.at(1) != std::byte{0}};
}

void Trainer::save_checkpoints(int epoch, double fitness, bool is_best) {
  const CheckpointPlan plan = plan_checkpoints(parts_.spec, epoch, final_epoch(epoch), is_best);
  if (!plan.last) return;
  const ScopedSpan span(parts_.tracer, Phase::checkpoint_save, epoch);
  SafetensorsFile content = checkpoint_content(parts_.step.model(), parts_.step.ema_state(), {epoch, fitness, parts_.class_names});
  add_training_state(parts_.spec, parts_.step, {epoch, best_fitness_, stopping_.progress(), class_map_}, content);
  const auto save = [&](const std::string& name) {
    write_safetensors(parts_.spec.folder / "weights" / (name + ".safetensors"), content);
  };
  save("last");
  if (plan.best) save("best");
  if (plan.numbered) save("epoch" + std::to_string(epoch));
}

}  // namespace valbench
