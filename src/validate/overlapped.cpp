// placement: overlapped. Rank 0 copies the EMA and goes on training; a thread of its own scores the copy as rank0 does, on a GPU on a
// stream of its own. With overlap: sharded the training threads send the copy to all ranks, each scores its part in such a thread, and the
// threads bring the results together over a group of their own (beside.cpp). One snapshot is in flight: when the next one comes before it
// is scored, training waits (phase val.wait). A longer queue would only hide that validation is slower than training: it fills up, costs a
// model's memory a place, and all of it is waited for at the end.
#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "comm/collective_error.h"
#include "detect/state_layout.h"
#include "validate/background_thread.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"
#include "validate/phase_seconds.h"

namespace valbench {
namespace {

/// The thread that trains meets the error later, in another phase: it says where it comes from. Those with a meaning of their own stay.
template <class Work>
void say_where(int epoch, const Work& work) {
  try {
    work();
  } catch (const c10::Error&) {
    throw;
  } catch (const CollectiveError&) {
    throw;
  } catch (const InputError&) {
    throw;
  } catch (const Error& error) {
    throw Error(fmt::format("validating epoch {} beside training: {}", epoch, error.what()));
  }
}

class OverlappedStrategy final : public ValidationStrategy {
 public:
  explicit OverlappedStrategy(const ValidationContext& context)
      : tracer_(context.tracer), communicator_(context.communicator), device_(context.device) {
    const bool sharded = context.spec.validation.overlap == Overlap::sharded;
    if (communicator_.rank() != 0 && !sharded) return;
    beside_ = tracer_.beside() != nullptr ? tracer_.beside() : &own_tracer_;
    thread_ = std::make_unique<BackgroundThread>(device_);
    // Gloo also on GPUs: results are host data, and two NCCL communicators that two threads drive can wait for each other.
    Communicator& group = sharded ? communicator_.make_group("overlapped", all_ranks(), /*host_only=*/true) : *alone_;
    ValidationContext inner{context.spec, group, *beside_, context.dataset, context.prototype, context.loss, context.device};
    inner.stop = thread_->stop_token();
    inner.evidence = context.evidence;
    inner.memory = context.memory;
    scorer_ = sharded ? make_beside_strategy(inner) : make_rank0_strategy(inner);
    sends_ = sharded && communicator_.world_size() > 1;
    if (sends_ && communicator_.rank() != 0) received_ = flatten_state(context.prototype.clone()->state());
  }

  void submit(ModelSnapshot snapshot) override {
    if (!thread_) return;
    const ScopedSpan span(tracer_, Phase::val_epoch, snapshot.epoch);
    wait(snapshot.epoch);
    snapshot.state = copy_of(snapshot);
    thread_->start([this, snapshot = std::move(snapshot)] { score(snapshot); });
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

  std::vector<int> all_ranks() const {
    std::vector<int> ranks(static_cast<std::size_t>(communicator_.world_size()));
    std::iota(ranks.begin(), ranks.end(), 0);
    return ranks;
  }

  /// The next training step writes to the EMA, so the copy has to be there before submit() returns. The device is idle otherwise: the
  /// epoch's losses have been read.
  at::Tensor copy_of(const ModelSnapshot& snapshot) const {
    at::Tensor copy = received_.defined() ? received_ : snapshot.state.detach().clone();
    if (sends_) {
      const ScopedSpan span(tracer_, Phase::val_broadcast, snapshot.epoch);
      communicator_.broadcast(copy, 0);
    }
    if (device_.is_cuda()) c10::impl::VirtualGuardImpl(device_.type()).getStream(device_).synchronize();
    return copy;
  }

  /// On the background thread.
  void score(const ModelSnapshot& snapshot) {
    beside_->set_thread(::gettid());
    beside_->set_epoch(snapshot.epoch);
    const PhaseSeconds phases(*beside_);
    say_where(snapshot.epoch, [&] { scorer_->submit(snapshot); });
    for (ValidationResult& result : scorer_->take_ready()) {
      result.record.phase_s = phases.since();
      // Of the copy, after it was scored: that nobody wrote to it in the meantime.
      result.record.weights_checksum = flat_checksum(snapshot.state);
      result.weights = [state = snapshot.state] { return state; };
      finished_ = std::move(result);
    }
  }

  Tracer& tracer_;
  Communicator& communicator_;  ///< Of the threads that train.
  c10::Device device_;
  const std::unique_ptr<Communicator> alone_ = make_single_communicator();
  Tracer own_tracer_;
  Tracer* beside_ = nullptr;                     // The background thread's.
  bool sends_ = false;                           // Snapshots to the other ranks.
  at::Tensor received_;                          // On those.
  std::unique_ptr<ValidationStrategy> scorer_;   // Null where this rank scores nothing, as thread_ is.
  std::optional<ValidationResult> finished_;     // Written by the background thread, read when it is idle.
  std::vector<ValidationResult> ready_;
  std::unique_ptr<BackgroundThread> thread_;     // Last: it ends before what it works with.
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_overlapped_strategy(const ValidationContext& context) {
  return std::make_unique<OverlappedStrategy>(context);
}

}  // namespace valbench
