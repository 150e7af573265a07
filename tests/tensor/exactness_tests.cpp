// The exactness gate against strategies that are wrong on purpose.
#include "validate/exactness.h"

#include <ATen/ATen.h>

#include <cmath>
#include <functional>

#include "base/checksum.h"
#include "base/error.h"
#include "data/synthetic_dataset.h"
#include "detect/state_layout.h"
#include "metrics/bootstrap.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "validate/blocking_strategy.h"
#include "validate/score_difference.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;

namespace {

/// Scores all batches as two ranks would deal them, and does something wrong with the parts.
class WrongStrategy final : public BlockingStrategy {
 public:
  using Fault = std::function<void(std::vector<PartialScore>& parts)>;
  WrongStrategy(const ValidationContext& context, Fault fault) : BlockingStrategy(context), fault_(std::move(fault)) {}

  void submit(ModelSnapshot snapshot) override {
    std::vector<PartialScore> parts;
    for (std::int64_t rank = 0; rank < 2; ++rank) {
      std::vector<BatchPlan> share;
      for (const BatchPlan& batch : plan().batches) {
        if (batch.index % 2 == rank) share.push_back(batch);
      }
      use_batches(std::move(share));
      scorer().load(snapshot.state);
      parts.push_back(scorer().score());
    }
    fault_(parts);
    finish(snapshot, std::move(parts), {}, 0);
  }

 private:
  Fault fault_;
};

/// 12 images in batches of 2, an untrained model, and the gate around one validation.
class Gate {
 public:
  explicit Gate(VerifyMode mode = VerifyMode::last) : evidence_(mode, folder_.path()) {
    make_synthetic_dataset({.train_images = 2, .val_images = 12, .classes = 2, .width = 64, .height = 64}, folder_.path() / "data");
    dataset_ = std::make_shared<YoloDataset>(load_yolo_dataset(read_data_config(folder_.path() / "data/data.yaml"), Split::val, 1));
    spec_.imgsz = 64;
    spec_.batch_size = 1;
    spec_.ranks = 1;
    state_ = flatten_state(model_->state());
  }

  ValidationContext context() {
    ValidationContext context{spec_, *communicator_, tracer_, dataset_, *model_, std::nullopt, c10::Device(c10::DeviceType::CPU)};
    context.evidence = &evidence_;
    return context;
  }
  RunSpec& spec() { return spec_; }
  const YoloDataset& dataset() const { return *dataset_; }
  at::Tensor& state() { return state_; }

  /// One validation of the state as it is now.
  void validate(const WrongStrategy::Fault& fault, int epoch = 0) {
    WrongStrategy strategy(context(), fault);
    const std::string hash = checksum_text(checksum({static_cast<const std::byte*>(state_.const_data_ptr()), state_.nbytes()}));
    strategy.submit({epoch, state_, hash});
    for (ValidationResult& result : strategy.drain()) results_.push_back(std::move(result.record));
  }
  ExactnessRecord check() { return check_exactness(context(), evidence_, results_, state_); }

 private:
  ScratchFolder folder_;
  RunSpec spec_;
  std::unique_ptr<Communicator> communicator_ = make_single_communicator();
  Tracer tracer_;
  std::unique_ptr<DetectionModel> model_ = make_yolov5("yolov5n", 2, 0);
  std::shared_ptr<const YoloDataset> dataset_;
  at::Tensor state_;
  ExactnessEvidence evidence_;
  std::vector<ValidationRecord> results_;
};

const WrongStrategy::Fault kNoFault = [](auto&) {};

}  // namespace

TEST_CASE("a right strategy is exact, and its distance to the full set is zero") {
  Gate gate;
  gate.validate(kNoFault);
  const ExactnessRecord record = gate.check();
  CHECK(record.exact == "true");
  CHECK(record.first_difference.empty());
  CHECK(record.unlike_full_set.empty());
  CHECK(record.checked_epochs == std::vector<int>{0});
  CHECK(record.map50_95_delta.value == 0.0);
}

TEST_CASE("a strategy that drops a batch is not exact, and the first image left out is named") {
  Gate gate;
  std::int64_t dropped = -1;
  gate.validate([&](std::vector<PartialScore>& parts) {
    MatchSet& matches = parts[0].matches;
    REQUIRE(matches.images.size() > 2);
    dropped = std::min(matches.images[0].id, matches.images[1].id);
    const auto detections = matches.images[0].detections + matches.images[1].detections;
    const auto labels = matches.images[0].labels + matches.images[1].labels;
    matches.images.erase(matches.images.begin(), matches.images.begin() + 2);
    matches.detections.erase(matches.detections.begin(), matches.detections.begin() + detections);
    matches.label_classes.erase(matches.label_classes.begin(), matches.label_classes.begin() + labels);
  });
  const ExactnessRecord record = gate.check();
  CHECK(record.exact == "false");
  CHECK_THAT(record.first_difference, Contains("epoch 0: image " + std::to_string(dropped) + " (") && Contains(".jpg) was not scored"));
}

TEST_CASE("a strategy that scores an image twice is caught where the parts are merged, and where they are not, by the gate") {
  Gate gate;
  const auto twice = [](std::vector<PartialScore>& parts) { parts.push_back(parts[1]); };
  CHECK_THROWS_WITH(gate.validate(twice), Contains("was scored twice"));

  PartialScore once;
  once.matches.images = {{3, 1, 0}, {4, 0, 0}};
  once.matches.detections = {{0.5F, 0, 0}};
  PartialScore doubled = once;
  doubled.matches.images.push_back({4, 0, 0});
  CHECK_THAT(first_difference(doubled, once, gate.dataset()), Contains("image 4 (") && Contains("was scored more than once"));
  doubled.matches.images.back().id = 5;
  CHECK_THAT(first_difference(doubled, once, gate.dataset()), Contains("image 5 (") && Contains("is not to be scored"));
}

TEST_CASE("one bit of one confidence is enough to be caught, with image, detection and both numbers") {
  Gate gate;
  gate.validate([](std::vector<PartialScore>& parts) {
    REQUIRE_FALSE(parts[1].matches.detections.empty());
    float& score = parts[1].matches.detections.front().score;
    score = std::nextafter(score, 1.0F);
  });
  const ExactnessRecord record = gate.check();
  CHECK(record.exact == "false");
  CHECK_THAT(record.first_difference, Contains("epoch 0: image ") && Contains("detection 0: score 0.") && Contains(" != 0."));
}

TEST_CASE("a metric that does not follow from the score is caught after the score is found equal") {
  ValidationRecord a;
  a.classes = {{.cls = 1, .map50 = 0.5}};
  ValidationRecord b = a;
  b.pixels = 1;
  CHECK_THAT(first_difference(a, b), Catch::StartsWith("pixels: 0 != 1"));
  b = a;
  b.detection_limit_hits = 2;
  CHECK_THAT(first_difference(a, b), Catch::StartsWith("detection_limit_hits: 0 != 2"));
}

TEST_CASE("verify all scores every validated epoch again with the weights that it had, and leaves no file behind") {
  Gate gate(VerifyMode::all);
  gate.validate(kNoFault, 0);
  gate.state().mul_(1.01);
  gate.validate(kNoFault, 2);
  const ExactnessRecord record = gate.check();
  CHECK(record.exact == "true");
  CHECK(record.checked_epochs == std::vector<int>{0, 2});
}

TEST_CASE("verify all names the epoch in which a strategy first went wrong") {
  Gate gate(VerifyMode::all);
  gate.validate(kNoFault, 0);
  gate.validate([](auto& parts) { parts[0].matches.detections.front().correct ^= 1; }, 1);
  gate.validate(kNoFault, 2);
  const ExactnessRecord record = gate.check();
  CHECK(record.exact == "false");
  CHECK_THAT(record.first_difference, Contains("epoch 1: image ") && Contains("IoU thresholds passed"));
  CHECK(record.checked_epochs.size() == 3);
}

TEST_CASE("weights that have moved on since they were scored are not judged") {
  Gate gate;
  gate.validate(kNoFault);
  gate.state().mul_(1.01);
  const ExactnessRecord record = gate.check();
  CHECK(record.exact == "not_claimed");
  CHECK(record.checked_epochs.empty());
  CHECK_FALSE(record.map50_95_delta.value);
}

TEST_CASE("what makes a strategy unlike the full set is said, and a subset claims no exactness") {
  Gate gate;
  gate.spec().validation.subset_count = 5;
  gate.spec().validation.shape = BatchShape::square;
  gate.spec().validation.batch_size = 3;
  gate.validate(kNoFault);
  const ExactnessRecord record = gate.check();
  CHECK(record.exact == "not_claimed");
  CHECK(record.first_difference.empty());
  CHECK(record.unlike_full_set == "subset 5 of 12 images, shape square, batch_size 3 instead of 2");
  CHECK(record.map50_95_delta.value);
}

TEST_CASE("a subset has the bootstrap's standard error of its own images, a whole set the reason why it has none") {
  Gate gate;
  gate.validate(kNoFault);
  const ExactnessRecord whole = gate.check();
  CHECK_FALSE(whole.map50_95_se.value);
  CHECK(whole.map50_95_se.reason == "not measured (every image is scored)");
  Gate part;
  part.spec().validation.subset_count = 6;
  part.validate(kNoFault);
  const ExactnessRecord record = part.check();
  const PartialScore* score = part.context().evidence->score(0);
  REQUIRE(score != nullptr);
  CHECK(score->matches.images.size() == 6);
  const StandardErrors errors = bootstrap_standard_errors(score->matches, kBootstrapResamples, 0, 1);
  CHECK(record.map50_95_se.value == errors.map50_95);
  CHECK(record.map50_95_bias.value == errors.map50_95_bias);
}
