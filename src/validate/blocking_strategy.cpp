#include "validate/blocking_strategy.h"

#include <ATen/ATen.h>

#include "base/clock.h"
#include "validate/exactness_evidence.h"

namespace valbench {

void BlockingStrategy::finish(const ModelSnapshot& snapshot, std::span<const PartialScore> parts, std::int64_t begin_ns) {
  const ScopedSpan span(context_.tracer, Phase::val_metrics, snapshot.epoch);
  PartialScore merged = merge_scores(parts);
  ValidationRecord result = summarize_score(merged, score_threads(context_.spec));
  result.epoch = snapshot.epoch;
  result.weights_checksum = snapshot.checksum;
  result.batch_size = plan_.batch_size;
  result.precision_used = plan_.precision;
  result.seconds = seconds_between(begin_ns, now_ns());
  ready_.push_back({std::move(result)});
  if (context_.evidence != nullptr) context_.evidence->keep(snapshot, std::move(merged));
  if (context_.spec.validation.ema == EmaUse::in_place && plan_.dtype != at::kFloat) {
    at::Tensor state = snapshot.state;
    state.copy_(state.to(plan_.dtype));
  }
}

}  // namespace valbench
