// placement: sharded. One broadcast of the snapshot, whole batches dealt to the ranks, one gather of 8 bytes a detection.
// Whole batches, because a batch's numbers depend on its composition: that is what makes the merged result equal rank 0's to the bit.
#include "validate/dealt_strategy.h"
#include "validate/make_strategy.h"

namespace valbench {
namespace {

class ShardedStrategy final : public DealtStrategy {
 public:
  using DealtStrategy::DealtStrategy;

  void submit(ModelSnapshot snapshot) override {
    Communicator& communicator = context().communicator;
    Tracer& tracer = context().tracer;
    const ScopedSpan span(tracer, Phase::val_epoch, snapshot.epoch);
    const std::int64_t begin_ns = now_ns();
    if (communicator.world_size() > 1) {
      const ScopedSpan broadcast_span(tracer, Phase::val_broadcast, snapshot.epoch);
      if (communicator.rank() == 0) {
        received_ = snapshot.state;
      } else if (!received_.defined()) {
        received_ = scorer().empty_state();
      }
      communicator.broadcast(received_, 0);
      scorer().load(received_);
    } else {
      scorer().load(snapshot.state);
    }
    FoundDetections found = files().none_yet();
    const PartialScore mine = score_share(found);
    std::vector<PartialScore> parts;
    {
      const ScopedSpan gather_span(tracer, Phase::val_gather, snapshot.epoch);
      for (const auto& bytes : communicator.gather_bytes(pack_score(mine), 0)) parts.push_back(unpack_score(bytes));
      found = files().gather(communicator, std::move(found));
    }
    if (communicator.rank() == 0) finish(snapshot, std::move(parts), std::move(found), begin_ns);
  }

 private:
  at::Tensor received_;
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_sharded_strategy(const ValidationContext& context) {
  return std::make_unique<ShardedStrategy>(context);
}

}  // namespace valbench
