// A validation beside training that all ranks share, rank by rank in one process: what a rank gives to the gather, and what rank 0 makes of it.
#include <ATen/ATen.h>

#include <optional>

#include "base/error.h"
#include "data/synthetic_dataset.h"
#include "detect/state_layout.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "validate/exactness.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"

using namespace valbench;
using Catch::Contains;

namespace {

/// Rank `rank` of two, alone: keeps what it gives, and as rank 0 also gets what the other has given.
class HalfCommunicator final : public Communicator {
 public:
  explicit HalfCommunicator(int rank) : rank_(rank) {}
  int rank() const override { return rank_; }
  int world_size() const override { return 2; }
  std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor, CallSite) override { throw Error("no gradients here"); }
  void broadcast(at::Tensor, int, CallSite) override { throw Error("the threads that train send the snapshot"); }
  void barrier(CallSite) override { throw Error("nobody meets here"); }
  std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int, CallSite) override {
    given.emplace(bytes.begin(), bytes.end());
    if (rank_ != 0) return {};
    return {*given, from_other};
  }
  std::vector<std::byte> broadcast_bytes(std::span<const std::byte>, int, CallSite) override { throw Error("no bytes here"); }
  std::vector<CollectiveEvent> take_events() override { return {}; }
  void set_epoch(int) override {}
  Communicator& make_group(const std::string&, const std::vector<int>&, bool) override { throw Error("no groups here"); }
  std::unique_ptr<KeyStore> open_store() override { throw Error("no store here"); }

  std::optional<std::vector<std::byte>> given;
  std::vector<std::byte> from_other;

 private:
  int rank_;
};

/// Two images in two batches: the first is rank 0's, the second rank 1's.
struct Fixture {
  Fixture() {
    make_synthetic_dataset({.train_images = 1, .val_images = 2, .classes = 1, .width = 64, .height = 64}, folder.path());
    dataset = std::make_shared<const YoloDataset>(load_yolo_dataset(read_data_config(folder.path() / "data.yaml"), Split::val, 1));
    spec.ranks = 2, spec.batch_size = 2, spec.imgsz = 64;
    spec.validation.placement = Placement::overlapped;
    spec.validation.overlap = Overlap::sharded;
    spec.validation.batch_size = 1;
    spec.validation.shape = BatchShape::square;  // Batches in the order of the set.
    state = flatten_state(model->state());
  }

  ValidationContext context(Communicator& communicator, std::stop_token stop = {}) {
    ValidationContext made{spec, communicator, tracer, dataset, *model, std::nullopt, at::kCPU};
    made.stop = std::move(stop);
    return made;
  }
  ModelSnapshot snapshot() const { return {.epoch = 3, .state = state, .checksum = flat_checksum(state)}; }
  /// Rank 1's submit(); what it gave lies in `one`.
  void submit_one(const ModelSnapshot& scored, std::stop_token stop = {}) {
    make_beside_strategy(context(one, std::move(stop)))->submit(scored);
  }
  std::vector<ValidationResult> submit_zero() {
    zero.from_other = *one.given;
    const auto strategy = make_beside_strategy(context(zero));
    strategy->submit(snapshot());
    return strategy->take_ready();
  }

  test::ScratchFolder folder;
  std::shared_ptr<const YoloDataset> dataset;
  RunSpec spec;
  const std::unique_ptr<DetectionModel> model = make_yolov5("yolov5n", 1, 0);
  at::Tensor state;
  Tracer tracer;
  HalfCommunicator zero{0}, one{1};
};

}  // namespace

TEST_CASE("the parts of all ranks make what rank 0 alone scores, bit for bit") {
  Fixture f;
  f.submit_one(f.snapshot());
  const auto shared = f.submit_zero();
  REQUIRE(shared.size() == 1);
  const auto single = make_single_communicator();
  const auto alone = make_rank0_strategy(f.context(*single));
  alone->submit(f.snapshot());
  const auto expected = alone->take_ready();
  REQUIRE(expected.size() == 1);
  CHECK(shared[0].record.images == 2);
  CHECK(first_difference(shared[0].record, expected[0].record).empty());
}

TEST_CASE("a rank whose part fails says so in the gather, and rank 0 ends with the rank, the epoch and the reason") {
  Fixture f;
  std::filesystem::remove(f.dataset->images.at(1).file);
  CHECK_THROWS_WITH(f.submit_one(f.snapshot()), Contains(f.dataset->images.at(1).file.filename().string()));
  REQUIRE(f.one.given);
  CHECK_THROWS_WITH(f.submit_zero(), Contains("rank 1 failed in its part of the validation of epoch 3: ") &&
                                         Contains(f.dataset->images.at(1).file.filename().string()));
}

TEST_CASE("a rank that has scored other weights than were sent ends the run") {
  Fixture f;
  ModelSnapshot other = f.snapshot();
  other.state = at::zeros_like(f.state);
  f.submit_one(other);
  CHECK_THROWS_WITH(f.submit_zero(), Contains("rank 1 scored weights of epoch 3 with checksum ") && Contains("but rank 0 sent "));
}

TEST_CASE("a rank that is ending does not wait for the others in the gather") {
  Fixture f;
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_WITH(f.submit_one(f.snapshot(), stop.get_token()), Contains("was stopped before batch"));
  CHECK_FALSE(f.one.given);
}
