// placement: deferred. Training writes a snapshot of the EMA to the run folder and goes on; after the last epoch all of them are scored, by
// all ranks as sharded does, since no rank has anything else to do then. Files, not memory: a snapshot of yolov5x is 347 MB, and there is
// one per validated epoch. They stay where the run fails, and go when it is done.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <system_error>

#include "base/clock.h"
#include "detect/weights/safetensors.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"
#include "validate/phase_seconds.h"

namespace valbench {
namespace {

constexpr const char* kState = "state";

at::Tensor read_snapshot(const std::filesystem::path& file) { return read_safetensors(file).tensors.at(0).second; }

class DeferredStrategy final : public ValidationStrategy {
 public:
  explicit DeferredStrategy(const ValidationContext& context)
      : context_(context), folder_(context.spec.folder / "snapshots"), scorer_(make_sharded_strategy(context)) {
    if (context.communicator.rank() == 0) std::filesystem::create_directories(folder_);
  }

  ~DeferredStrategy() override {
    std::error_code ignored;
    if (done_ && context_.communicator.rank() == 0) std::filesystem::remove_all(folder_, ignored);
  }

  void submit(ModelSnapshot snapshot) override {
    const ScopedSpan span(context_.tracer, Phase::val_epoch, snapshot.epoch);
    epochs_.push_back(snapshot.epoch);
    if (context_.communicator.rank() != 0) return;
    const ScopedSpan save_span(context_.tracer, Phase::checkpoint_save, snapshot.epoch);
    SafetensorsFile content;
    content.tensors = {{kState, snapshot.state.detach().cpu()}};
    content.metadata = {{"format", "valbench-snapshot-1"},
                        {"epoch", std::to_string(snapshot.epoch)},
                        {"checksum", snapshot.checksum},
                        {"saved_monotonic_ns", std::to_string(now_ns())}};
    write_safetensors(file_of(snapshot.epoch), content, Sync::later);  // Read by this process alone.
  }

  std::vector<ValidationResult> take_ready() override { return {}; }

  std::vector<ValidationResult> drain() override {
    std::vector<ValidationResult> all;
    for (const int epoch : epochs_) {
      const PhaseSeconds phases(context_.tracer);
      scorer_->submit(load(epoch));
      for (ValidationResult& result : scorer_->take_ready()) {
        result.record.phase_s = phases.since();
        result.weights = [file = file_of(epoch)] { return read_snapshot(file); };
        all.push_back(std::move(result));
      }
    }
    epochs_.clear();
    done_ = true;
    return all;
  }

 private:
  std::filesystem::path file_of(int epoch) const { return folder_ / fmt::format("epoch{}.safetensors", epoch); }

  ModelSnapshot load(int epoch) const {
    if (context_.communicator.rank() != 0) return {.epoch = epoch, .state = {}, .checksum = {}};
    const at::Tensor state = read_snapshot(file_of(epoch));
    // Of what was read, so that it cannot be other weights than were submitted.
    return {epoch, state.to(context_.device), flat_checksum(state)};
  }

  ValidationContext context_;
  std::filesystem::path folder_;
  std::unique_ptr<ValidationStrategy> scorer_;
  std::vector<int> epochs_;  // To be scored; the same on every rank.
  bool done_ = false;
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_deferred_strategy(const ValidationContext& context) {
  return std::make_unique<DeferredStrategy>(context);
}

}  // namespace valbench
