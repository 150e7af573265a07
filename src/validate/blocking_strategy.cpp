#include "validate/blocking_strategy.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <functional>

#include "base/clock.h"
#include "validate/exactness_evidence.h"

namespace valbench {
namespace {

/// A copy that is there when this returns: the next training step writes to the EMA.
ModelSnapshot copy_of(ModelSnapshot snapshot, c10::Device device) {
  snapshot.state = snapshot.state.detach().clone();
  if (device.is_cuda()) c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
  return snapshot;
}

}  // namespace

BlockingStrategy::BlockingStrategy(const ValidationContext& context)
    : context_(context),
      plan_(context.dataset ? make_scoring_plan(context, context.spec.validation) : ScoringPlan{}),
      files_(context_, plan_) {
  if (context.spec.validation.score != ScoreMode::background || context.communicator.rank() != 0) return;
  beside_ = std::make_unique<ScoringThread>(context.tracer, context.device);
}

void BlockingStrategy::finish(const ModelSnapshot& snapshot, std::vector<PartialScore> parts, FoundDetections found,
                              std::int64_t begin_ns) {
  if (!beside_) {
    ready_.push_back(conclude(snapshot, parts, found, begin_ns, context_.tracer));
    return round_in_place(snapshot.state);
  }
  finish_beside(snapshot, begin_ns, [parts = std::move(parts), found = std::move(found)](Tracer&, auto& all, auto& all_found) mutable {
    all = std::move(parts);
    all_found = std::move(found);
  });
}

void BlockingStrategy::finish_unmatched(const ModelSnapshot& snapshot, UnmatchedScore score, std::int64_t begin_ns) {
  finish_beside(snapshot, begin_ns, [this, score = std::move(score)](Tracer& tracer, auto& all, auto& all_found) mutable {
    all_found = files_.none_yet();
    all.push_back(scorer_->match(std::move(score), files_.sink(all_found), tracer));
  });
}

void BlockingStrategy::finish_beside(const ModelSnapshot& snapshot, std::int64_t begin_ns,
                                     std::function<void(Tracer&, std::vector<PartialScore>&, FoundDetections&)> take_parts) {
  round_in_place(snapshot.state);
  ModelSnapshot kept = copy_of(snapshot, context_.device);
  beside_->start(snapshot.epoch, [this, begin_ns, kept = std::move(kept), take_parts = std::move(take_parts)](Tracer& tracer) {
    std::vector<PartialScore> parts;
    FoundDetections found;
    take_parts(tracer, parts, found);
    ValidationResult result = conclude(kept, parts, found, begin_ns, tracer);
    result.weights = [state = kept.state] { return state; };
    return result;
  });
}

ValidationResult BlockingStrategy::conclude(const ModelSnapshot& snapshot, std::span<const PartialScore> parts, const FoundDetections& found,
                                            std::int64_t begin_ns, Tracer& tracer) const {
  ValidationResult result;
  ValidationRecord& record = result.record;
  std::vector<ClassCurves> curves;
  {
    const ScopedSpan span(tracer, Phase::val_metrics, snapshot.epoch);
    PartialScore merged = merge_scores(parts);
    record = files_.summarize(snapshot.epoch, snapshot.checksum, merged, curves);
    if (context_.evidence != nullptr) context_.evidence->keep(snapshot, std::move(merged));
  }
  files_.write(record, curves, found, tracer);
  record.seconds = seconds_between(begin_ns, now_ns());
  return result;
}

void BlockingStrategy::round_in_place(at::Tensor state) const {
  if (context_.spec.validation.ema == EmaUse::in_place && plan_.dtype != at::kFloat) state.copy_(state.to(plan_.dtype));
}

}  // namespace valbench
