// Results that come late and out of order: the trainer with a strategy that answers when the test says so.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/checksum.h"
#include "base/error.h"
#include "base/file.h"
#include "comm/communicator.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "train/trainer.h"
#include "train/training_state.h"

using namespace valbench;
using namespace valbench::test;

namespace {

/// Two random batches, the same in every epoch.
class FixedLoader final : public DataLoader {
 public:
  void start(int) override { next_ = 0; }
  std::size_t batches() const override { return 2; }
  std::optional<Batch> next() override {
    if (next_ == batches()) return std::nullopt;
    at::Generator random = at::make_generator<at::CPUGeneratorImpl>(next_++);
    Batch batch;
    batch.images = at::randint(256, {2, 3, 64, 64}, random, at::TensorOptions(at::kByte));
    batch.targets = at::rand({4, 6}, random);
    batch.targets.select(1, 0).mul_(2).floor_();
    batch.targets.select(1, 1).mul_(3).floor_();
    batch.targets.slice(1, 4).mul_(0.5).add_(0.1);
    return batch;
  }

 private:
  std::size_t next_ = 0;
};

/// epoch at whose end -> epochs whose results are there then, in this order. All others come from drain().
using Arrivals = std::map<int, std::vector<int>>;

/// Keeps what is submitted and answers by plan.
class PlannedStrategy final : public ValidationStrategy {
 public:
  PlannedStrategy(std::vector<double> fitness, Arrivals arrivals, std::vector<int> skipped = {})
      : fitness_(std::move(fitness)), arrivals_(std::move(arrivals)), skipped_(std::move(skipped)) {}

  void submit(ModelSnapshot snapshot) override {
    submitted.push_back(snapshot.epoch);
    snapshot.state = snapshot.state.clone();
    kept_.emplace(snapshot.epoch, snapshot);
  }
  std::vector<ValidationResult> take_ready() override { return answer(arrivals_[epoch_++]); }
  std::vector<ValidationResult> drain() override {
    std::vector<int> left;
    for (const auto& [epoch, snapshot] : kept_) left.push_back(epoch);
    std::reverse(left.begin(), left.end());
    return answer(left);
  }

  std::vector<int> submitted;

 private:
  std::vector<ValidationResult> answer(const std::vector<int>& epochs) {
    std::vector<ValidationResult> results;
    for (const int epoch : epochs) {
      const ModelSnapshot snapshot = kept_.extract(epoch).mapped();
      ValidationResult result;
      result.record = {.epoch = epoch, .weights_checksum = snapshot.checksum};
      result.record.map50 = result.record.map50_95 = fitness_.at(static_cast<std::size_t>(epoch));
      result.weights = [state = snapshot.state] { return state; };
      if (!snapshot.required && std::count(skipped_.begin(), skipped_.end(), epoch) > 0) result = {{.epoch = epoch}, "the validator was busy"};
      results.push_back(std::move(result));
    }
    return results;
  }

  std::vector<double> fitness_;
  Arrivals arrivals_;
  std::vector<int> skipped_;
  std::map<int, ModelSnapshot> kept_;
  int epoch_ = 0;
};

/// What a run left.
struct Outcome {
  RankResult result;
  std::vector<int> submitted;
  std::vector<std::string> rows;  ///< `3 pending`, `3 late 0.5 best`
  std::string best, last;         ///< The files' checksums; empty without one.

  std::vector<int> validated() const {
    std::vector<int> epochs;
    for (const ValidationRecord& v : result.validations) epochs.push_back(v.epoch);
    return epochs;
  }
};

std::string row_of(const EpochReport& report) {
  std::string row = std::to_string(report.record.epoch);
  if (report.pending) row += " pending";
  if (report.late) row += " late";
  if (report.validation != nullptr) row += " " + std::to_string(report.validation->map50).substr(0, 3);
  if (report.best) row += " best";
  if (report.last) row += " last";
  return row;
}

Outcome run(RunSpec spec, PlannedStrategy strategy) {
  at::set_num_threads(1);
  const ScratchFolder folder;
  spec.imgsz = 64;
  spec.batch_size = 2;
  spec.folder = folder.path();
  std::filesystem::create_directories(spec.folder / "weights");
  const auto communicator = make_single_communicator();
  const auto model = make_yolov5("yolov5n", 3, 0);
  Tracer tracer;
  FixedLoader loader;
  TrainStep step(spec, *model, *communicator, tracer, 2, c10::Device(c10::DeviceType::CPU));
  const ValidationSchedule schedule(spec.validation, spec.epochs);
  Outcome outcome;
  TrainerParts parts{spec, *communicator, tracer, step, loader, schedule, strategy, {}, {"a", "b", "c"}};
  parts.on_epoch = [&](const EpochReport& report) { outcome.rows.push_back(row_of(report)); };
  outcome.result = Trainer(std::move(parts)).run();
  outcome.submitted = strategy.submitted;
  const auto checksum_of = [&](const char* name) {
    const auto file = spec.folder / "weights" / name;
    if (!std::filesystem::exists(file)) return std::string();
    // As the end of a training leaves them: what a training needs to go on is not among the weights of an earlier epoch.
    SafetensorsFile weights = read_safetensors(file);
    remove_training_state(weights);
    write_safetensors(file, weights);
    const std::string content = read_file(file);
    return checksum_text(checksum(std::as_bytes(std::span(content))));
  };
  outcome.best = checksum_of("best.safetensors");
  outcome.last = checksum_of("last.safetensors");
  return outcome;
}

RunSpec spec_of(int epochs, int patience = 0, int interval = 1) {
  RunSpec spec;
  spec.epochs = epochs;
  spec.patience = patience;
  spec.validation.interval = interval;
  return spec;
}

const Arrivals kAtOnce = {{0, {0}}, {1, {1}}, {2, {2}}, {3, {3}}, {4, {4}}, {5, {5}}};

}  // namespace

TEST_CASE("late results in any order leave the best checkpoint that results at once leave, from the weights that were scored") {
  const std::vector<double> fitness = {0.1, 0.6, 0.3, 0.6, 0.2};
  const Outcome at_once = run(spec_of(5), {fitness, kAtOnce});
  REQUIRE_FALSE(at_once.best.empty());
  CHECK(at_once.best != at_once.last);
  const std::vector<Arrivals> orders = {{{1, {0}}, {2, {1}}, {3, {2}}, {4, {3}}},  // each an epoch late
                                        {{3, {3, 1}}, {4, {0, 2}}},                // the tie of 1 and 3 the wrong way round
                                        {{1, {1}}, {3, {3}}},
                                        {}};  // all at the end, the last first
  for (const Arrivals& arrivals : orders) {
    const Outcome late = run(spec_of(5), {fitness, arrivals});
    CHECK(late.best == at_once.best);
    CHECK(late.validated() == std::vector<int>{0, 1, 2, 3, 4});
    CHECK(late.result.train_checksums == at_once.result.train_checksums);
    for (std::size_t e = 0; e < 5; ++e) {
      const ValidationRecord& validation = late.result.validations[e];
      CHECK(validation.weights_checksum == at_once.result.validations[e].weights_checksum);
      CHECK(validation.map50 == fitness[e]);
      CHECK(validation.submitted_s <= validation.known_s);
    }
  }
}

TEST_CASE("an epoch whose result is not there is told as pending, and again when it comes") {
  const Outcome late = run(spec_of(3), {{0.1, 0.3, 0.2}, {{1, {1}}}});
  CHECK(late.rows == std::vector<std::string>{"0 pending", "1 0.3 best", "2 pending last", "2 late 0.2", "0 late 0.1"});
}

TEST_CASE("early stopping by late results counts epochs, lags behind them, and the final epoch is validated all the same") {
  const std::vector<double> fitness = {0.5, 0.4, 0.3, 0.2, 0.1, 0.9, 0.9, 0.9};
  const Outcome at_once = run(spec_of(6, 2), {fitness, kAtOnce});
  CHECK(at_once.validated() == std::vector<int>{0, 1, 2});
  // The result of epoch 2 says stop; it comes with epoch 3's end, and epoch 3's own is pending then.
  const Outcome late = run(spec_of(6, 2), {fitness, {{1, {0}}, {2, {1}}, {3, {2}}}});
  CHECK(late.validated() == std::vector<int>{0, 1, 2, 3});
  CHECK(late.best == at_once.best);
  // Epoch 2's result comes before epoch 1's: nothing is decided until that is there too.
  const Outcome swapped = run(spec_of(6, 2), {fitness, {{0, {0}}, {2, {2}}, {4, {1}}}});
  CHECK(swapped.validated() == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("a late result that ends the run with an epoch that was not due has its weights validated before the end") {
  RunSpec spec = spec_of(8, 3, 2);
  spec.compat = Compat::head;
  const Outcome late = run(spec, {{0, 0.5, 0, 0.4, 0.3, 0.3, 0.3, 0.3}, {{2, {1}}, {4, {3}}}});
  CHECK(late.result.epochs.back().epoch == 4);
  CHECK(late.submitted.back() == 4);
  CHECK(late.validated() == std::vector<int>{1, 3, 4});
}

TEST_CASE("a snapshot that a strategy gives up is noted, and early stopping does not wait for it") {
  const Outcome outcome = run(spec_of(6, 2), {{0.5, 0.4, 0.3, 0.2, 0.1, 0.1}, kAtOnce, {1}});
  REQUIRE(outcome.result.skipped.size() == 1);
  CHECK(outcome.result.skipped[0].epoch == 1);
  CHECK(outcome.result.skipped[0].reason == "the validator was busy");
  CHECK(outcome.validated() == std::vector<int>{0, 2});
}

TEST_CASE("an epoch that was given up and turns out to be the last is submitted again, and cannot be given up then") {
  const Outcome outcome = run(spec_of(6, 2), {{0.5, 0.4, 0.3, 0.2, 0.1, 0.1}, {{1, {0}}, {3, {3, 1, 2}}}, {3}});
  CHECK(outcome.result.epochs.back().epoch == 3);
  CHECK(outcome.submitted == std::vector<int>{0, 1, 2, 3, 3});
  CHECK(outcome.validated() == std::vector<int>{0, 1, 2, 3});
  CHECK(outcome.result.skipped.empty());
}

TEST_CASE("with nosave a late result saves no checkpoint but the final epoch's") {
  RunSpec spec = spec_of(3);
  spec.nosave = true;
  CHECK(run(spec, {{0.5, 0.4, 0.3}, {{1, {0}}}}).best.empty());
  CHECK_FALSE(run(spec, {{0.1, 0.2, 0.3}, {{1, {0}}}}).best.empty());
}

TEST_CASE("the best epoch is of the whole training, also where it came before a resume") {
  CHECK(run(spec_of(3), {{0.1, 0.3, 0.2}, kAtOnce}).result.best_epoch == 1);
  CHECK(run(spec_of(0), {{}, {}}).result.best_epoch == -1);
  ValidationLedger ledger(EarlyStopping(0), 0.4, 5, 3);
  CHECK(ledger.best_epoch() == 3);
  const auto validate = [&](int epoch, double fitness) {
    ledger.submitted(epoch, "w", 0);
    ValidationRecord record{.epoch = epoch, .weights_checksum = "w"};
    record.map50 = record.map50_95 = fitness;
    return ledger.received(record, 0);
  };
  CHECK_FALSE(validate(5, 0.3));
  CHECK(ledger.best_epoch() == 3);
  CHECK(validate(6, 0.5));
  CHECK(ledger.best_epoch() == 6);
}

TEST_CASE("a quad counts as the four images that it is of") {
  RunSpec spec = spec_of(1);
  CHECK(run(spec, {{0.1}, kAtOnce}).result.epochs.at(0).train_images == 4);
  spec.quad = true;
  CHECK(run(spec, {{0.1}, kAtOnce}).result.epochs.at(0).train_images == 16);
}

TEST_CASE("a result of other weights, a second one and one that nobody waits for are errors") {
  ValidationLedger ledger(EarlyStopping(0), 0, 0);
  ledger.submitted(0, "aa", 1);
  ValidationRecord other{.epoch = 0, .weights_checksum = "bb"}, right{.epoch = 0, .weights_checksum = "aa"}, unknown{.epoch = 1};
  CHECK_THROWS_WITH(ledger.received(other, 2), Catch::Contains("bb") && Catch::Contains("aa were submitted"));
  CHECK(ledger.received(right, 2));
  CHECK_THROWS_WITH(ledger.received(right, 2), Catch::Contains("nobody waits for"));
  CHECK_THROWS_WITH(ledger.received(unknown, 2), Catch::Contains("epoch 1"));
  CHECK_THROWS_AS(ledger.skipped(3), Error);
}
