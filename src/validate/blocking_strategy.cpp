#include "validate/blocking_strategy.h"

#include <ATen/ATen.h>

#include "base/clock.h"

namespace valbench {

void BlockingStrategy::finish(const ModelSnapshot& snapshot, std::span<const PartialScore> parts, std::int64_t begin_ns) {
  const ScopedSpan span(context_.tracer, Phase::val_metrics, snapshot.epoch);
  ValidationRecord result = summarize_score(merge_scores(parts), score_threads(context_.spec));
  result.epoch = snapshot.epoch;
  result.weights_checksum = snapshot.checksum;
  result.batch_size = plan_.batch_size;
  result.precision_used = plan_.precision;
  result.seconds = seconds_between(begin_ns, now_ns());
  ready_.push_back({std::move(result)});
  if (context_.spec.validation.ema == EmaUse::in_place && plan_.dtype != at::kFloat) {
    at::Tensor state = snapshot.state;
    state.copy_(state.to(plan_.dtype));
  }
}

}  // namespace valbench
