// placement: rank0. YOLOv5 v7.0: rank 0 scores everything; the other ranks go on to the collective at the end of the epoch and wait.
#include "base/log.h"
#include "comm/group_timeout.h"
#include "validate/blocking_strategy.h"
#include "validate/make_strategy.h"

namespace valbench {
namespace {

class Rank0Strategy final : public BlockingStrategy {
 public:
  explicit Rank0Strategy(const ValidationContext& context) : BlockingStrategy(context) {
    if (context.communicator.rank() == 0) use_batches(plan().batches);
  }

  void submit(ModelSnapshot snapshot) override {
    if (context().communicator.rank() != 0) return;
    const ScopedSpan span(context().tracer, Phase::val_epoch, snapshot.epoch);
    const std::int64_t begin_ns = now_ns();
    scorer().load(snapshot.state);
    if (finishes_beside()) {
      finish_unmatched(snapshot, scorer().score_unmatched(), begin_ns);
    } else {
      FoundDetections found = files().none_yet();
      std::vector<PartialScore> parts{scorer().score(files().sink(found))};
      finish(snapshot, std::move(parts), std::move(found), begin_ns);
    }
    if (context().communicator.world_size() == 1 || warned_) return;
    warned_ = true;  // After the first validation: the run is young then.
    if (const std::string text = group_timeout_warning(seconds_between(begin_ns, now_ns())); !text.empty()) log_warning(text);
  }

 private:
  bool warned_ = false;
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_rank0_strategy(const ValidationContext& context) {
  return std::make_unique<Rank0Strategy>(context);
}

}  // namespace valbench
