#include "validate/scoring_thread.h"

#include <unistd.h>

#include <utility>

#include "validate/phase_seconds.h"

namespace valbench {

ScoringThread::ScoringThread(Tracer& training, c10::Device device)
    : training_(training), beside_(training.beside() != nullptr ? *training.beside() : own_tracer_), thread_(device) {}

void ScoringThread::start(int epoch, Job job) {
  rest(epoch);
  thread_.start([this, epoch, job = std::move(job)] {
    beside_.set_thread(::gettid());
    beside_.set_epoch(epoch);
    const PhaseSeconds phases(beside_);
    finished_ = job(beside_);
    if (finished_) finished_->record.phase_s = phases.since();
  });
}

std::vector<ValidationResult> ScoringThread::take_ready() {
  if (thread_.idle()) collect();
  return std::exchange(ready_, {});
}

std::vector<ValidationResult> ScoringThread::drain() {
  rest(/*number=*/0);
  return std::exchange(ready_, {});
}

void ScoringThread::rest(std::int64_t number) {
  if (!thread_.idle()) {
    const ScopedSpan span(training_, Phase::val_wait, number);
    thread_.wait();
  }
  collect();
}

void ScoringThread::collect() {
  if (finished_) ready_.push_back(*std::exchange(finished_, std::nullopt));
}

}  // namespace valbench
