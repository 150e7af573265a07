/// \file
/// Host spans of one rank. Recording a span allocates nothing and takes no lock.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "trace/phase.h"

namespace valbench {

/// One finished span.
struct Span {
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int64_t number = 0;  ///< Step or batch number.
  std::int32_t epoch = 0;
  Phase phase = Phase::train_epoch;
};

/// Sum of the spans of one phase since the last reset.
struct PhaseSum {
  std::int64_t total_ns = 0;
  std::int64_t count = 0;
};

/// Told of every span as it opens and closes, on the recording thread: NVTX ranges, CUDA events. Must not throw.
class SpanListener {
 public:
  virtual ~SpanListener() = default;
  virtual void span_begin(Phase phase, std::int64_t number) noexcept = 0;
  virtual void span_end(Phase phase, std::int64_t number) noexcept = 0;
  /// An epoch begins; no span is open.
  virtual void epoch_begin(int) noexcept {}
};

/// Collects the spans of one thread (the rank's main thread). Spans past the capacity are counted, not kept; sums never lose any.
class Tracer {
 public:
  /// \param capacity spans kept for traces; 0 keeps only the sums.
  explicit Tracer(std::size_t capacity = 0);
  void add_listener(SpanListener& listener);  ///< Before the first span; the listener outlives the tracer's use.
  void set_epoch(int epoch) noexcept;       ///< Between spans; tells the listeners.

  void begin(Phase phase, std::int64_t number) noexcept;
  void end(Phase phase, std::int64_t number, std::int64_t begin_ns) noexcept;

  const PhaseSum& sum(Phase phase) const noexcept { return sums_[static_cast<std::size_t>(phase)]; }
  void reset_sums() noexcept;  ///< At the start of an epoch.
  const std::vector<Span>& spans() const noexcept { return spans_; }
  std::int64_t lost() const noexcept { return lost_; }

  /// The tracer of a thread that validates beside this one's, where somebody looks at its spans. Read its spans when that thread rests.
  Tracer* beside() const noexcept { return beside_; }
  void set_beside(Tracer* tracer) noexcept { beside_ = tracer; }
  std::int64_t thread() const noexcept { return thread_; }  ///< gettid of the thread, where it said so; else 0.
  void set_thread(std::int64_t id) noexcept { thread_ = id; }

 private:
  std::array<PhaseSum, kPhaseCount> sums_{};
  std::vector<Span> spans_;
  std::vector<SpanListener*> listeners_;
  std::size_t capacity_ = 0;
  std::int64_t lost_ = 0;
  std::int32_t epoch_ = 0;
  Tracer* beside_ = nullptr;
  std::int64_t thread_ = 0;
};

/// Opens a span and closes it at the end of the scope.
class ScopedSpan {
 public:
  ScopedSpan(Tracer& tracer, Phase phase, std::int64_t number = 0) noexcept
      : tracer_(tracer), phase_(phase), number_(number) {
    tracer_.begin(phase_, number_);
    begin_ns_ = now_ns();
  }
  ~ScopedSpan() { tracer_.end(phase_, number_, begin_ns_); }
  ScopedSpan(const ScopedSpan&) = delete;
  ScopedSpan& operator=(const ScopedSpan&) = delete;

 private:
  Tracer& tracer_;
  Phase phase_;
  std::int64_t number_;
  std::int64_t begin_ns_;
};

}  // namespace valbench
