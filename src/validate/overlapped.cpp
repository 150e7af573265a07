// placement: overlapped. Rank 0 copies the EMA and goes on training; a thread of its own scores the copy as rank0 does, on a GPU on a
// stream of its own. With overlap: sharded the training threads send the copy to all ranks, each scores its part in such a thread, and the
// threads bring the results together over a group of their own (beside.cpp). One snapshot is in flight: when the next one comes before it
// is scored, training waits (phase val.wait). A longer queue would only hide that validation is slower than training: it fills up, costs a
// model's memory a place, and all of it is waited for at the end.
#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "comm/collective_error.h"
#include "detect/state_layout.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"
#include "validate/scoring_thread.h"

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
    thread_ = std::make_unique<ScoringThread>(tracer_, device_);
    // Gloo also on GPUs: results are host data, and two NCCL communicators that two threads drive can wait for each other.
    Communicator& group = sharded ? communicator_.make_group("overlapped", all_ranks(), /*host_only=*/true) : *alone_;
    ValidationContext inner{context.spec, group, thread_->tracer(), context.dataset, context.prototype, context.loss, context.device};
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
    thread_->rest(snapshot.epoch);  // Before the copy: it may still score the last one.
    snapshot.state = copy_of(snapshot);
    const int epoch = snapshot.epoch;
    thread_->start(epoch, [this, snapshot = std::move(snapshot)](Tracer&) { return score(snapshot); });
  }

  std::vector<ValidationResult> take_ready() override { return thread_ ? thread_->take_ready() : std::vector<ValidationResult>{}; }
  std::vector<ValidationResult> drain() override { return thread_ ? thread_->drain() : std::vector<ValidationResult>{}; }

 private:
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
  std::optional<ValidationResult> score(const ModelSnapshot& snapshot) const {
    say_where(snapshot.epoch, [&] { scorer_->submit(snapshot); });
    std::vector<ValidationResult> results = scorer_->take_ready();
    if (results.empty()) return std::nullopt;
    ValidationResult& result = results.front();
    // Of the copy, after it was scored: that nobody wrote to it in the meantime.
    result.record.weights_checksum = flat_checksum(snapshot.state);
    result.weights = [state = snapshot.state] { return state; };
    return std::move(result);
  }

  Tracer& tracer_;
  Communicator& communicator_;  ///< Of the threads that train.
  c10::Device device_;
  const std::unique_ptr<Communicator> alone_ = make_single_communicator();
  bool sends_ = false;                           // Snapshots to the other ranks.
  at::Tensor received_;                          // On those.
  std::unique_ptr<ValidationStrategy> scorer_;   // Null where this rank scores nothing, as thread_ is.
  std::unique_ptr<ScoringThread> thread_;        // Last: it ends before what it works with.
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_overlapped_strategy(const ValidationContext& context) {
  return std::make_unique<OverlappedStrategy>(context);
}

}  // namespace valbench
