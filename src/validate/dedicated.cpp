// placement: dedicated. Some ranks only validate. Rank 0 hands them a snapshot when all of them are free and trains on; where they are
// not, the snapshot is skipped, and said to be, but for that of the final epoch, which waits for them.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/error.h"
#include "validate/exactness_evidence.h"
#include "validate/kept_scores.h"
#include "validate/make_strategy.h"
#include "validate/validation_server.h"

namespace valbench {
namespace {

/// On the other ranks that train: only rank 0 has to do with snapshots.
class BystanderStrategy final : public ValidationStrategy {
 public:
  void submit(ModelSnapshot) override {}
  std::vector<ValidationResult> take_ready() override { return {}; }
  std::vector<ValidationResult> drain() override { return {}; }
};

class DedicatedStrategy final : public ValidationStrategy {
 public:
  DedicatedStrategy(const ValidationContext& context, Communicator& world)
      : tracer_(context.tracer),
        evidence_(context.evidence),
        kept_elsewhere_(context.spec.verify != VerifyMode::none),
        link_(make_snapshot_group(world, context.spec), world.open_store()) {}

  void submit(ModelSnapshot snapshot) override {
    const ScopedSpan span(tracer_, Phase::val_epoch, snapshot.epoch);
    if (!link_.all_ready()) {
      if (!snapshot.required) return skip(snapshot.epoch);
      const ScopedSpan wait_span(tracer_, Phase::val_wait, snapshot.epoch);
      link_.meet();
    }
    // A validator answers before it says that it is ready again.
    if (in_flight_) take(link_.wait_for_result());
    at::Tensor state = snapshot.state.clone();
    {
      const ScopedSpan broadcast_span(tracer_, Phase::val_broadcast, snapshot.epoch);
      link_.send(state, snapshot.epoch, snapshot.checksum);
    }
    in_flight_.emplace(snapshot.epoch, std::move(state));
  }

  std::vector<ValidationResult> take_ready() override {
    if (in_flight_) {
      if (const auto result = link_.look_up_result()) take(*result);
    }
    return std::exchange(ready_, {});
  }

  std::vector<ValidationResult> drain() override {
    if (in_flight_) {
      const ScopedSpan span(tracer_, Phase::val_wait, in_flight_->first);
      link_.meet();
      take(link_.wait_for_result());
    }
    return std::exchange(ready_, {});
  }

  void close() override {
    link_.leave();
    if (!kept_elsewhere_) return;
    for (const auto& bytes : link_.collect()) {
      for (auto& [epoch, score] : KeptScores::unpack(bytes)) {
        if (evidence_ != nullptr) evidence_->add_score(epoch, std::move(score));
      }
    }
  }

 private:
  void skip(int epoch) {
    ready_.push_back({.record = {.epoch = epoch},
                      .skipped = in_flight_ ? fmt::format("the ranks that only validate still scored epoch {}", in_flight_->first)
                                            : std::string("the ranks that only validate were not ready yet")});
  }

  void take(const ValidationRecord& record) {
    if (record.epoch != in_flight_->first) {
      throw Error(fmt::format("the ranks that only validate were sent epoch {} and answered for epoch {}", in_flight_->first,
                              record.epoch));
    }
    // The score follows in close(): sending it now would take time from the training.
    if (evidence_ != nullptr) evidence_->keep({record.epoch, in_flight_->second, record.weights_checksum, false}, {});
    ready_.push_back({.record = record, .weights = [state = in_flight_->second] { return state; }});
    in_flight_.reset();
  }

  Tracer& tracer_;
  ExactnessEvidence* evidence_;
  bool kept_elsewhere_;  ///< The validators keep scores for the evidence.
  ValidatorLink link_;
  std::optional<std::pair<int, at::Tensor>> in_flight_;  ///< Epoch and weights that are being scored.
  std::vector<ValidationResult> ready_;
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_dedicated_strategy(const ValidationContext& context) {
  if (context.communicator.rank() != 0) return std::make_unique<BystanderStrategy>();
  return std::make_unique<DedicatedStrategy>(context, *context.world);
}

}  // namespace valbench
