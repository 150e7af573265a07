#include "trace/tracer.h"

namespace valbench {

Tracer::Tracer(std::size_t capacity) : capacity_(capacity) { spans_.reserve(capacity); }

void Tracer::add_listener(SpanListener& listener) { listeners_.push_back(&listener); }

void Tracer::set_epoch(int epoch) noexcept {
  epoch_ = epoch;
  for (SpanListener* listener : listeners_) listener->epoch_begin(epoch);
}

void Tracer::begin(Phase phase, std::int64_t number) noexcept {
  for (SpanListener* listener : listeners_) listener->span_begin(phase, number);
}

void Tracer::end(Phase phase, std::int64_t number, std::int64_t begin_ns) noexcept {
  const std::int64_t end_ns = now_ns();  // before the listeners, whose time is not the phase's
  PhaseSum& sum = sums_[static_cast<std::size_t>(phase)];
  sum.total_ns += end_ns - begin_ns;
  ++sum.count;
  if (spans_.size() < capacity_) {
    spans_.push_back({begin_ns, end_ns, number, epoch_, phase});
  } else if (capacity_ > 0) {
    ++lost_;
  }
  for (auto listener = listeners_.rbegin(); listener != listeners_.rend(); ++listener)
    (*listener)->span_end(phase, number);
}

void Tracer::reset_sums() noexcept { sums_ = {}; }

}  // namespace valbench
