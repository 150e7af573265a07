// placement: overlapped. Rank 0 copies the EMA and goes on training; a thread of its own scores the copy as rank0 does, on a GPU on a
// stream of its own. One snapshot is in flight: when the next one comes before it is scored, training waits (phase val.wait). A longer
// queue would only hide that validation is slower than training: it fills up, costs a model's memory a place, and all of it is waited for
// at the end.
#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "validate/background_thread.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"
#include "validate/phase_seconds.h"

namespace valbench {
namespace {

class OverlappedStrategy final : public ValidationStrategy {
 public:
  explicit OverlappedStrategy(const ValidationContext& context) : tracer_(context.tracer), device_(context.device) {
    if (context.communicator.rank() != 0) return;
    beside_ = tracer_.beside() != nullptr ? tracer_.beside() : &own_tracer_;
    thread_ = std::make_unique<BackgroundThread>(device_);
    ValidationContext inner{context.spec, *alone_, *beside_, context.dataset, context.prototype, context.loss, context.device};
    inner.stop = thread_->stop_token();
    inner.evidence = context.evidence;
    inner.memory = context.memory;
    scorer_ = make_rank0_strategy(inner);
  }

  void submit(ModelSnapshot snapshot) override {
    if (!thread_) return;
    const ScopedSpan span(tracer_, Phase::val_epoch, snapshot.epoch);
    wait(snapshot.epoch);
    snapshot.state = copy_of(snapshot.state);
    thread_->start([this, snapshot = std::move(snapshot)] { finished_ = score(snapshot); });
  }

  std::vector<ValidationResult> take_ready() override {
    if (thread_ && thread_->idle()) collect();
    return std::exchange(ready_, {});
  }

  std::vector<ValidationResult> drain() override {
    if (thread_) wait(/*number=*/0);
    return take_ready();
  }

 private:
  void wait(std::int64_t number) {
    if (!thread_->idle()) {
      const ScopedSpan span(tracer_, Phase::val_wait, number);
      thread_->wait();
    }
    collect();
  }

  void collect() {
    if (finished_) ready_.push_back(*std::exchange(finished_, std::nullopt));
  }

  /// The next training step writes to the EMA, so the copy has to be there before submit() returns. The device is idle otherwise: the
  /// epoch's losses have been read.
  at::Tensor copy_of(const at::Tensor& state) const {
    at::Tensor copy = state.detach().clone();
    if (device_.is_cuda()) c10::impl::VirtualGuardImpl(device_.type()).getStream(device_).synchronize();
    return copy;
  }

  /// On the background thread.
  ValidationResult score(const ModelSnapshot& snapshot) {
    beside_->set_thread(::gettid());
    beside_->set_epoch(snapshot.epoch);
    const PhaseSeconds phases(*beside_);
    scorer_->submit(snapshot);
    ValidationResult result = std::move(scorer_->take_ready().at(0));
    result.record.phase_s = phases.since();
    // Of the copy, after it was scored: that nobody wrote to it in the meantime.
    result.record.weights_checksum = flat_checksum(snapshot.state);
    result.weights = [state = snapshot.state] { return state; };
    return result;
  }

  Tracer& tracer_;
  c10::Device device_;
  const std::unique_ptr<Communicator> alone_ = make_single_communicator();
  Tracer own_tracer_;
  Tracer* beside_ = nullptr;                     // The background thread's.
  std::unique_ptr<ValidationStrategy> scorer_;   // Null but on rank 0, as thread_ is.
  std::optional<ValidationResult> finished_;     // Written by the background thread, read when it is idle.
  std::vector<ValidationResult> ready_;
  std::unique_ptr<BackgroundThread> thread_;     // Last: it ends before what it works with.
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_overlapped_strategy(const ValidationContext& context) {
  return std::make_unique<OverlappedStrategy>(context);
}

}  // namespace valbench
