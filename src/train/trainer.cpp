#include "train/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "record/epoch_phases.h"
#include "train/checkpoint_plan.h"
#include "train/device.h"
#include "train/guarded_weights.h"
#include "train/training_state.h"
#include "validate/flat_checksum.h"
#include "validate/weights_guard.h"

namespace valbench {
namespace {

// mAP50-95 by class; classes without labels count as the mean, as in YOLOv5.
std::vector<double> class_map(const ValidationRecord& record, std::size_t classes) {
  std::vector<double> map(classes, record.map50_95);
  for (const ClassRecord& c : record.classes) {
    if (c.labels > 0) map.at(static_cast<std::size_t>(c.cls)) = c.map50_95;
  }
  return map;
}

}  // namespace

EarlyStopping Trainer::stopping_of(const TrainerParts& parts) {
  EarlyStopping stopping(parts.spec.patience, parts.spec.compat);
  if (parts.stopping) stopping.restore(*parts.stopping);
  return stopping;
}

RankResult Trainer::run() {
  parts_.communicator.barrier();
  begin_ns_ = now_ns();
  int epoch = parts_.first_epoch;
  for (bool stop = false; epoch < parts_.spec.epochs && !stop; ++epoch) stop = run_epoch(epoch);
  drain(epoch - 1);
  result_.best_epoch = ledger_.best_epoch();
  result_.job_s = job_seconds();
  return std::move(result_);
}

double Trainer::job_seconds() const { return seconds_between(begin_ns_ + total_off_clock_ns_ + off_clock_ns_, now_ns()); }

void Trainer::drain(int last_epoch) {
  // A late result can end the run with an epoch that was not due; the final weights are always validated.
  if (parts_.validation.validates() && submitted_epoch_ != last_epoch && last_epoch >= parts_.first_epoch) submit(last_epoch, true);
  std::vector<ValidationResult> late;
  guarded(last_epoch, [&] { late = parts_.validation.drain(); });
  receive(std::move(late));
  if (const int lost = ledger_.first_pending(); lost >= 0) throw Error(fmt::format("the validation of epoch {} has no result", lost));
  save_late_best(ledger_.best_epoch() == last_epoch);
  const ScopedSpan span(parts_.tracer, Phase::checkpoint_save, last_epoch);
  checkpoints_.finish();
  std::sort(result_.validations.begin(), result_.validations.end(), [](const auto& a, const auto& b) { return a.epoch < b.epoch; });
}

bool Trainer::run_epoch(int epoch) {
  Tracer& tracer = parts_.tracer;
  tracer.set_epoch(epoch);
  tracer.reset_sums();
  parts_.communicator.set_epoch(epoch);
  total_off_clock_ns_ += std::exchange(off_clock_ns_, 0);
  EpochRecord record{.rank = parts_.communicator.rank(), .epoch = epoch};
  const std::int64_t begin_ns = now_ns();
  train(epoch, record);
  record.train_s = seconds_between(begin_ns, now_ns());
  record_checksum();
  validate(epoch);
  receive(parts_.validation.take_ready());
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
  const int images_in_one = parts_.spec.quad ? 4 : 1;
  for (std::int64_t index = 0; index < batches; ++index) {
    const ScopedSpan step_span(parts_.tracer, Phase::train_step, index);
    std::optional<Batch> batch;
    {
      const ScopedSpan span(parts_.tracer, Phase::train_data, index);
      batch = parts_.loader.next();
    }
    if (!batch) throw Error("the training loader ended before batch " + std::to_string(index));
    parts_.step.run(*batch, index);
    record.train_images += images_in_one * batch->images.size(0);
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
  result_.train_checksums.push_back(flat_checksum(parts_.step.parameters()));
  // Ranks without an EMA hash as many bytes: off the clock must be off the clock for all, or they would wait for rank 0.
  const bool has_ema = parts_.step.ema_state().defined();
  ema_checksum_ = flat_checksum(has_ema ? parts_.step.ema_state() : parts_.step.model_state());
  off_clock_ns_ += now_ns() - begin_ns;
}

void Trainer::validate(int epoch) {
  if (!parts_.validation.validates()) return;
  if (!last_end_.validate && !last_end_.possible_stop) return;
  if (parts_.communicator.rank() == 0 && parts_.progress) parts_.progress(epoch, 0, 1, "validate");
  submit(epoch, epoch + 1 == parts_.spec.epochs || last_end_.possible_stop);
}

void Trainer::submit(int epoch, bool required) {
  if (parts_.communicator.rank() == 0) {
    ledger_.submitted(epoch, ema_checksum_, job_seconds());
    batches_tracked_[epoch] = batches_tracked(parts_.step.model());
  }
  guarded(epoch, [&] { parts_.validation.submit({epoch, parts_.step.ema_state(), ema_checksum_, required}); });
  submitted_epoch_ = epoch;
  std::erase_if(result_.skipped, [epoch](const SkippedValidation& s) { return s.epoch == epoch; });
}

void Trainer::guarded(int epoch, const std::function<void()>& validate) {
  WeightsGuard guard(guarded_weights(parts_.step, parts_.spec.validation.ema), parts_.spec.verify, parts_.tracer, off_clock_ns_);
  validate();
  for (std::string& change : guard.changes(parts_.communicator.rank(), epoch)) result_.invalid_reasons.push_back(std::move(change));
}

void Trainer::receive(std::vector<ValidationResult> results) {
  for (ValidationResult& result : results) {
    const int epoch = result.record.epoch;
    const at::Tensor batches_tracked = std::exchange(batches_tracked_[epoch], {});
    batches_tracked_.erase(epoch);
    if (!result.skipped.empty()) {
      ledger_.skipped(epoch);
      result_.skipped.push_back({epoch, result.skipped});
      if (epoch == submitted_epoch_) submitted_epoch_ = -1;  // Where the run ends with this epoch it is submitted again.
      continue;
    }
    const bool best = ledger_.received(result.record, job_seconds());
    result.record.late_epochs = parts_.first_epoch + static_cast<int>(result_.epochs.size()) - epoch;
    result_.validations.push_back(result.record);
    const auto row = std::find_if(result_.epochs.begin(), result_.epochs.end(), [&](const auto& e) { return e.epoch == epoch; });
    if (row != result_.epochs.end() && parts_.on_epoch) {
      parts_.on_epoch({.record = *row, .validation = &result.record, .best = best, .late = true});
    }
    if (best) best_ = std::move(result), best_batches_tracked_ = batches_tracked, new_best_ = true;
  }
  if (parts_.spec.image_weights && !results.empty()) {
    class_map_ = class_map(result_.validations.back(), parts_.class_names.size());
    parts_.loader.set_class_map(class_map_);
  }
}

Trainer::EpochEnd Trainer::conclude(int epoch, const EpochRecord& record) {
  const auto fresh = std::find_if(result_.validations.begin(), result_.validations.end(), [&](const auto& v) { return v.epoch == epoch; });
  const bool stop = ledger_.ended(epoch);
  const bool last = stop || epoch + 1 == parts_.spec.epochs;
  if (parts_.on_epoch) {
    parts_.on_epoch({.record = record,
                     .validation = fresh != result_.validations.end() ? &*fresh : nullptr,
                     .lr = lr_,
                     .best = new_best_ && best_.record.epoch == epoch,
                     .last = last,
                     .pending = ledger_.pending(epoch)});
  }
  save_checkpoints(epoch, last || last_end_.possible_stop);
  time_share_.trained(record.train_s);
  if (submitted_epoch_ == epoch) time_share_.validated(static_cast<double>(parts_.tracer.sum(Phase::val_epoch).total_ns) * 1e-9);
  const bool validate = parts_.schedule.required(epoch + 1) || (parts_.schedule.due(epoch + 1) && time_share_.affordable());
  return {stop, ledger_.stopping().possible_stop(), validate};
}

Trainer::EpochEnd Trainer::share(EpochEnd end) {
  const std::array bytes{static_cast<std::byte>(end.stop), static_cast<std::byte>(end.possible_stop), static_cast<std::byte>(end.validate)};
  const std::vector<std::byte> shared = parts_.communicator.broadcast_bytes(bytes, 0);
  return {shared.at(0) != std::byte{0}, shared.at(1) != std::byte{0}, shared.at(2) != std::byte{0}};
}

void Trainer::save_checkpoints(int epoch, bool final_epoch) {
  const bool is_best = new_best_ && best_.record.epoch == epoch;
  const CheckpointPlan plan = plan_checkpoints(parts_.spec, epoch, final_epoch, is_best);
  if (plan.last) {
    const ScopedSpan span(parts_.tracer, Phase::checkpoint_save, epoch);
    SafetensorsFile content = checkpoint_content(parts_.step.model(), parts_.step.ema_state(), info_of(epoch));
    add_training_state(parts_.spec, parts_.step, {epoch, ledger_.best_fitness(), ledger_.stopping().progress(), class_map_, ledger_.best_epoch()},
                       content);
    std::vector<std::string> names{"last"};
    if (plan.best) names.emplace_back("best");
    if (plan.numbered) names.push_back("epoch" + std::to_string(epoch));
    checkpoints_.write(names, content);
  }
  if (is_best) best_ = {}, new_best_ = false;
  save_late_best(false);
}

void Trainer::save_late_best(bool final_epoch) {
  if (!std::exchange(new_best_, false)) return;
  const ValidationResult best = std::exchange(best_, {});
  const int epoch = best.record.epoch;
  if (!plan_checkpoints(parts_.spec, epoch, final_epoch, true).best) return;
  if (!best.weights) throw Error(fmt::format("the late validation result of epoch {} came without its weights", epoch));
  const ScopedSpan span(parts_.tracer, Phase::checkpoint_save, epoch);
  SafetensorsFile content = checkpoint_content(parts_.step.model(), best.weights(), info_of(epoch, best_batches_tracked_));
  checkpoints_.write({"best"}, content);
}

CheckpointInfo Trainer::info_of(int epoch, at::Tensor batches_tracked) const {
  return {epoch, ledger_.fitness_of(epoch), parts_.class_names, std::move(batches_tracked), parts_.model_yaml};
}

}  // namespace valbench
