// Rank 0 and a rank that only validates, each alone against a fake of the other: what is sent when, and what is skipped.
#include <ATen/ATen.h>

#include <deque>
#include <functional>
#include <map>

#include "base/error.h"
#include "data/synthetic_dataset.h"
#include "detect/state_layout.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "trace/tracer.h"
#include "validate/exactness_evidence.h"
#include "validate/flat_checksum.h"
#include "validate/kept_scores.h"
#include "validate/make_strategy.h"
#include "validate/validation_server.h"

using namespace valbench;
using Catch::Contains;

namespace {

using Values = std::map<std::string, std::string>;

class FakeStore final : public KeyStore {
 public:
  explicit FakeStore(Values& values) : values_(values) {}
  void set(const std::string& key, const std::string& value) override { values_[key] = value; }
  std::optional<std::string> look_up(const std::string& key) override {
    return values_.contains(key) ? std::optional(values_[key]) : std::nullopt;
  }
  std::string wait_for(const std::string& key) override {
    if (!values_.contains(key)) throw Error("nobody will ever set " + key);
    return values_[key];
  }

 private:
  Values& values_;
};

/// Place `place` of `places` ranks. Keeps what it sends, receives zeros; `on_barrier` plays the others.
class FakeCommunicator final : public Communicator {
 public:
  FakeCommunicator(int place, int places) : place_(place), places_(places) {}
  int rank() const override { return place_; }
  int world_size() const override { return places_; }
  std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor, CallSite) override { throw Error("no gradients here"); }
  void broadcast(at::Tensor tensor, int, CallSite) override {
    if (place_ == 0) sent.push_back(tensor.clone());
    if (place_ != 0) received = tensor.zero_();
  }
  void barrier(CallSite) override {
    ++barriers;
    if (on_barrier) on_barrier();
  }
  std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int, CallSite) override {
    gathered.emplace_back(bytes.begin(), bytes.end());
    if (places_ == 1) return {gathered.back()};
    return from_others;
  }
  std::vector<std::byte> broadcast_bytes(std::span<const std::byte>, int, CallSite) override { throw Error("no bytes here"); }
  std::vector<CollectiveEvent> take_events() override { return {}; }
  void set_epoch(int) override {}
  Communicator& make_group(const std::string&, const std::vector<int>& members, bool) override {
    const auto place = std::find(members.begin(), members.end(), place_);
    return groups.emplace_back(static_cast<int>(place - members.begin()), static_cast<int>(members.size()));
  }
  std::unique_ptr<KeyStore> open_store() override { return std::make_unique<FakeStore>(values); }

  Values values;
  std::deque<FakeCommunicator> groups;
  std::vector<at::Tensor> sent;
  at::Tensor received;
  std::vector<std::vector<std::byte>> gathered, from_others;  ///< What this rank gave, and what rank 0 gets.
  int barriers = 0;
  std::function<void()> on_barrier;

 private:
  int place_, places_;
};

RunSpec spec_of(int ranks, int dedicated) {
  RunSpec spec;
  spec.ranks = ranks, spec.batch_size = 4 * ranks, spec.imgsz = 64;
  spec.validation.placement = Placement::dedicated;
  spec.validation.dedicated_ranks = dedicated;
  return spec;
}

/// Rank 0 of `1 + validators` ranks, and validators that say and answer what the test has them say.
struct Rank0 {
  explicit Rank0(int validators)
      : spec(spec_of(1 + validators, validators)),
        world(0, 1 + validators),
        strategy(make_strategy({spec, world, tracer, nullptr, *model, std::nullopt, at::kCPU, &world, {}, &evidence})) {}

  FakeCommunicator& group() { return world.groups.front(); }
  void say_ready(int place, int order) {
    world.values["validators/ready/" + std::to_string(place) + "/" + std::to_string(order)] = "ready";
  }
  std::string order(int number) { return world.values["validators/order/" + std::to_string(number)]; }
  void answer(int order, int epoch) {
    RunRecord carrier;
    carrier.validations = {ValidationRecord{.epoch = epoch, .weights_checksum = "w" + std::to_string(epoch), .map50 = 0.25}};
    world.values["validators/result/" + std::to_string(order)] = run_record_to_json(carrier);
  }
  void submit(int epoch, bool required = false) {
    live = at::full({8}, epoch, at::kFloat);
    strategy->submit({epoch, live, "w" + std::to_string(epoch), required});
  }

  const std::unique_ptr<DetectionModel> model = make_yolov5("yolov5n", 1, 0);
  RunSpec spec;
  FakeCommunicator world;
  Tracer tracer;
  ExactnessEvidence evidence{VerifyMode::last, {}};
  std::unique_ptr<ValidationStrategy> strategy;
  at::Tensor live;
};

}  // namespace

TEST_CASE("a snapshot that finds a validator not ready is skipped with the reason, and nothing is sent") {
  Rank0 rank(2);
  rank.say_ready(1, 0);  // The second validator is still starting.
  rank.submit(0);
  const auto skipped = rank.strategy->take_ready();
  REQUIRE(skipped.size() == 1);
  CHECK(skipped[0].record.epoch == 0);
  CHECK_THAT(skipped[0].skipped, Contains("not ready yet"));
  CHECK(rank.group().sent.empty());
  CHECK(rank.group().barriers == 0);
  CHECK(rank.strategy->take_ready().empty());

  rank.say_ready(2, 0);
  rank.submit(1);
  REQUIRE(rank.group().sent.size() == 1);
  CHECK_THAT(rank.order(0), Contains("\"score\"") && Contains("\"w1\""));
  CHECK(rank.strategy->take_ready().empty());
  rank.submit(2);
  const auto busy = rank.strategy->take_ready();
  REQUIRE(busy.size() == 1);
  CHECK(busy[0].record.epoch == 2);
  CHECK_THAT(busy[0].skipped, Contains("still scored epoch 1"));
}

TEST_CASE("a result comes when it is there, with the weights that were scored, though training went on") {
  Rank0 rank(1);
  rank.say_ready(1, 0);
  rank.submit(0);
  rank.live.fill_(-1);
  CHECK(rank.strategy->take_ready().empty());
  rank.answer(0, 0);
  const auto results = rank.strategy->take_ready();
  REQUIRE(results.size() == 1);
  CHECK(results[0].skipped.empty());
  CHECK(results[0].record.epoch == 0);
  CHECK(results[0].record.weights_checksum == "w0");
  CHECK(results[0].weights().eq(0).all().item<bool>());
  CHECK(rank.strategy->take_ready().empty());
}

TEST_CASE("a result that arrives between two looks is not lost when the next snapshot is sent") {
  Rank0 rank(1);
  rank.say_ready(1, 0);
  rank.submit(0);
  rank.answer(0, 0);
  rank.say_ready(1, 1);
  rank.submit(1);
  CHECK(rank.group().sent.size() == 2);
  const auto results = rank.strategy->take_ready();
  REQUIRE(results.size() == 1);
  CHECK(results[0].record.epoch == 0);
}

TEST_CASE("the final snapshot waits for the validators in a collective, and draining for its result") {
  Rank0 rank(1);
  rank.say_ready(1, 0);
  rank.submit(0);
  rank.group().on_barrier = [&] { rank.answer(0, 0); };
  rank.submit(1, /*required=*/true);
  CHECK(rank.group().barriers == 1);
  CHECK_THAT(rank.order(1), Contains("\"meet\""));
  CHECK_THAT(rank.order(2), Contains("\"score\"") && Contains("\"w1\""));
  REQUIRE(rank.group().sent.size() == 2);
  CHECK(rank.group().sent[1].eq(1).all().item<bool>());

  rank.group().on_barrier = [&] { rank.answer(2, 1); };
  const auto results = rank.strategy->drain();
  REQUIRE(results.size() == 2);
  CHECK(results[0].record.epoch == 0);
  CHECK(results[1].record.epoch == 1);
  CHECK(rank.strategy->drain().empty());
  CHECK(rank.group().barriers == 2);
  rank.strategy->close();
  CHECK_THAT(rank.order(4), Contains("\"leave\""));
}

TEST_CASE("scores that a validator has kept reach the exactness gate with the weights that rank 0 sent, when training is over") {
  Rank0 rank(2);
  for (const int place : {1, 2}) rank.say_ready(place, 0);
  rank.submit(4);
  rank.answer(0, 4);
  CHECK(rank.strategy->take_ready().size() == 1);
  REQUIRE(rank.evidence.score(4) != nullptr);
  CHECK(rank.evidence.score(4)->pixels == 0);
  KeptScores kept(VerifyMode::last);
  PartialScore older, newer;
  older.pixels = 5, newer.pixels = 7;
  kept.keep(3, older);
  kept.keep(4, newer);
  CHECK(KeptScores::unpack(kept.pack()).size() == 1);
  rank.group().from_others = {{}, kept.pack(), {}};
  rank.live.fill_(-1);
  rank.strategy->close();
  CHECK_THAT(rank.order(1), Contains("\"leave\""));
  CHECK(rank.evidence.score(4)->pixels == 7);
  CHECK(rank.evidence.state(4).eq(4).all().item<bool>());
  std::vector<std::byte> cut = kept.pack();
  cut.pop_back();
  CHECK_THROWS_WITH(KeptScores::unpack(cut), Contains("cut short"));
  CHECK(KeptScores(VerifyMode::none).pack().empty());
}

TEST_CASE("an answer for another epoch than was sent ends the run") {
  Rank0 rank(1);
  rank.say_ready(1, 0);
  rank.submit(0);
  rank.answer(0, 7);
  CHECK_THROWS_WITH(rank.strategy->take_ready(), Contains("were sent epoch 0 and answered for epoch 7"));
}

TEST_CASE("a rank that only validates says when it is ready, meets, leaves, and refuses weights other than were sent") {
  const RunSpec spec = spec_of(2, 1);
  const auto model = make_yolov5("yolov5n", 1, 0);
  FakeCommunicator world(1, 2);
  Tracer tracer;
  const auto dataset = std::make_shared<const YoloDataset>();
  ValidationServer server({spec, world, tracer, dataset, *model, std::nullopt, at::kCPU, &world});
  CHECK_FALSE(world.values.contains("validators/ready/1/0"));
  world.values["validators/order/0"] = R"({"kind": "meet", "epoch": 0, "checksum": ""})";
  world.values["validators/order/1"] = R"({"kind": "leave", "epoch": 0, "checksum": ""})";
  CHECK(server.serve().empty());
  CHECK(world.groups.front().gathered.size() == 1);  // It has scored nothing.
  CHECK(world.groups.front().gathered[0].empty());
  CHECK(world.groups.front().barriers == 1);
  CHECK(world.values.contains("validators/ready/1/0"));
  CHECK(world.values.contains("validators/ready/1/1"));

  world.values["validators/order/2"] = R"({"kind": "score", "epoch": 3, "checksum": "0123456789abcdef"})";
  CHECK_THROWS_WITH(server.serve(), Contains("rank 1 received weights of epoch 3 with checksum") &&
                                        Contains("rank 0 sent 0123456789abcdef"));
}

namespace {

/// Writes to the snapshot in the middle of its validation.
class Meddler final : public SpanListener {
 public:
  explicit Meddler(const at::Tensor& snapshot) : snapshot_(snapshot) {}
  void span_begin(Phase, std::int64_t) noexcept override {}
  void span_end(Phase phase, std::int64_t) noexcept override {
    if (phase == Phase::val_match && snapshot_.defined()) snapshot_.data_ptr<float>()[0] = 1;
  }

 private:
  const at::Tensor& snapshot_;
};

}  // namespace

TEST_CASE("weights that change on a rank that only validates while it scores make the run invalid, and its score is handed over") {
  const test::ScratchFolder folder;
  make_synthetic_dataset({.train_images = 1, .val_images = 2, .classes = 1, .width = 64, .height = 64}, folder.path());
  const auto dataset = std::make_shared<const YoloDataset>(load_yolo_dataset(read_data_config(folder.path() / "data.yaml"), Split::val, 1));
  const RunSpec spec = spec_of(2, 1);
  const auto model = make_yolov5("yolov5n", 1, 0);
  FakeCommunicator world(1, 2);
  Tracer tracer;
  ValidationServer server({spec, world, tracer, dataset, *model, std::nullopt, at::kCPU, &world});
  const std::string zeros = flat_checksum(at::zeros_like(flatten_state(model->state())));
  const auto order = [&](int number) { return "validators/order/" + std::to_string(number); };
  const std::string score = R"({"kind": "score", "epoch": 3, "checksum": ")" + zeros + "\"}";
  world.values[order(0)] = score;
  world.values[order(1)] = world.values[order(3)] = R"({"kind": "leave", "epoch": 0, "checksum": ""})";
  world.values[order(2)] = score;
  CHECK(server.serve().size() == 1);
  CHECK(server.invalid_reasons().empty());
  const auto scores = KeptScores::unpack(world.groups.front().gathered.at(0));
  REQUIRE(scores.contains(3));
  CHECK(scores.at(3).matches.images.size() == 2);

  Meddler meddler(world.groups.front().received);
  tracer.add_listener(meddler);
  CHECK(server.serve().size() == 1);
  REQUIRE(server.invalid_reasons().size() == 1);
  CHECK_THAT(server.invalid_reasons()[0], Contains("validating epoch 3 changed the snapshot of rank 1"));
}
