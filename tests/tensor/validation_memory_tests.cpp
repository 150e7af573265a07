// batch_size: max and cache: gpu, with fakes of a GPU's memory and batches that stay on the CPU.
#include "validate/validation_memory.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "data/synthetic_dataset.h"
#include "detect/state_layout.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "validate/device_batches.h"
#include "validate/exactness.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"
#include "validate/score_difference.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;

namespace {

/// Scoring takes 100 MiB and 10 MiB an image, on a GPU that cannot hold more than `largest` images.
struct FakeGpu {
  int largest = 1'000'000;
  std::vector<int> asked = {};
  std::function<std::optional<double>(int)> measure() {
    return [this](int batch) {
      asked.push_back(batch);
      return batch > largest ? std::nullopt : std::optional(100.0 + 10 * batch);
    };
  }
};

/// One of several ranks; rank 0 gathers `from_all`, the others are told `told`.
class FakeCommunicator final : public Communicator {
 public:
  explicit FakeCommunicator(int place) : place_(place) {}
  int rank() const override { return place_; }
  int world_size() const override { return 3; }
  std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor, CallSite) override { throw Error("no gradients here"); }
  void broadcast(at::Tensor, int, CallSite) override { throw Error("no tensors here"); }
  void barrier(CallSite) override {}
  std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int, CallSite) override {
    given.assign(bytes.begin(), bytes.end());
    return place_ == 0 ? from_all : std::vector<std::vector<std::byte>>{};
  }
  std::vector<std::byte> broadcast_bytes(std::span<const std::byte> bytes, int, CallSite) override {
    return place_ == 0 ? std::vector<std::byte>(bytes.begin(), bytes.end()) : told;
  }
  std::vector<CollectiveEvent> take_events() override { return {}; }
  void set_epoch(int) override {}
  Communicator& make_group(const std::string&, const std::vector<int>&, bool) override {
    throw Error("no groups here");
  }
  std::unique_ptr<KeyStore> open_store() override { throw Error("no store here"); }

  std::vector<std::byte> given, told;
  std::vector<std::vector<std::byte>> from_all;

 private:
  int place_;
};

template <class T>
std::vector<std::byte> bytes_of(const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

/// Counts how often it is asked, and hands out batches of one image that holds the batch's number.
class CountingLoader final : public DataLoader {
 public:
  CountingLoader(std::size_t batches, int& asked, bool& gone) : batches_(batches), asked_(asked), gone_(gone) {}
  ~CountingLoader() override { gone_ = true; }
  void start(int) override { next_ = 0; }
  std::optional<Batch> next() override {
    if (next_ == batches_) return std::nullopt;
    ++asked_;
    return Batch{at::full({1, 3, 4, 4}, static_cast<double>(next_++), at::kByte), at::zeros({0, 6}), {ImageGeometry{}}};
  }
  std::size_t batches() const override { return batches_; }

 private:
  std::size_t batches_, next_ = 0;
  int& asked_;
  bool& gone_;
};

/// Ten images of several shapes, and a model that has not been trained.
class Validation {
 public:
  Validation() {
    make_synthetic_dataset({.train_images = 2, .val_images = 10, .classes = 2, .width = 64, .height = 64},
                           folder_.path() / "data");
    dataset_ = std::make_shared<YoloDataset>(
        load_yolo_dataset(read_data_config(folder_.path() / "data/data.yaml"), Split::val, 1));
    spec.imgsz = 64;
    spec.batch_size = 1;
    spec.ranks = 1;
    state = flatten_state(model->state());
  }
  ValidationContext context() {
    ValidationContext context{
        spec, *communicator, tracer, dataset_, *model, std::nullopt, c10::Device(c10::DeviceType::CPU)};
    context.memory = memory;
    return context;
  }
  PartialScore score(SnapshotScorer& scorer) {
    scorer.load(state);
    return scorer.score();
  }
  std::string difference(const PartialScore& a, const PartialScore& b) { return first_difference(a, b, *dataset_); }

  RunSpec spec;
  ValidationMemory memory;
  std::unique_ptr<DetectionModel> model = make_yolov5("yolov5n", 2, 0);
  at::Tensor state;

 private:
  ScratchFolder folder_;
  std::unique_ptr<Communicator> communicator = make_single_communicator();
  Tracer tracer;
  std::shared_ptr<const YoloDataset> dataset_;
};

}  // namespace

TEST_CASE(
    "batch_size max doubles the batch until it no longer fits, does not stay within the budget, or holds all images") {
  FakeGpu gpu;
  const BatchFit fit = largest_batch(5000, 800, gpu.measure());
  CHECK(fit.batch == 64);  // 128 images take 1380 MiB.
  CHECK(fit.mib == 740);
  CHECK(gpu.asked == std::vector<int>{1, 2, 4, 8, 16, 32, 64, 128});

  FakeGpu small{.largest = 20};
  CHECK(largest_batch(5000, 800, small.measure()).batch == 16);
  FakeGpu full{.largest = 0};
  CHECK(largest_batch(5000, 800, full.measure()).batch == 0);
  FakeGpu few;
  CHECK(largest_batch(13, 800, few.measure()).batch == 8);
  CHECK(few.asked.size() == 4);
  FakeGpu endless;
  CHECK(largest_batch(1'000'000, 1e9, endless.measure()).batch == kLargestValidationBatch);
}

TEST_CASE("the smallest batch over the ranks is every rank's, and ranks that score nothing have no say") {
  FakeCommunicator rank0(0);
  rank0.from_all = {bytes_of(BatchFit{64, 740, 800}), {}, bytes_of(BatchFit{32, 420, 500})};
  const SmallestFit smallest = smallest_fit(rank0, BatchFit{64, 740, 800});
  CHECK(smallest.rank == 2);
  CHECK(smallest.fit.batch == 32);

  FakeCommunicator rank1(1);
  rank1.told = bytes_of(smallest);
  CHECK(smallest_fit(rank1, std::nullopt).fit.batch == 32);
  CHECK(rank1.given.empty());
  const auto alone = make_single_communicator();
  CHECK(smallest_fit(*alone, BatchFit{16, 260, 300}).fit.batch == 16);
}

TEST_CASE("the record says which batch fits, on which rank, and what bounds it; where nothing fits it is an error") {
  CHECK_THAT(describe_fit({2, {32, 420, 2048}}, 5000),
             Contains("batch_size max: 32 images a batch take 420 MiB of the 2 GiB") &&
                 Contains("rank 2; the next power of two takes more"));
  CHECK_THAT(describe_fit({0, {32, 420, 2048}}, 40), Contains("there are 40 images"));
  CHECK_THAT(describe_fit({0, {1024, 420, 2048}}, 5000), Contains("larger ones are not tried"));
  CHECK_THROWS_WITH(describe_fit({1, {0, 0, 12}}, 5000),
                    Contains("validation.batch_size max: on rank 1 not even one image") && Contains("12 MiB"));
}

TEST_CASE(
    "a validation may take four fifths of the free memory, kept batches half, and training beside it comes first") {
  CHECK(share_memory(1000, 1, false, 0).scoring_mib == Approx(800));
  CHECK(share_memory(1000, 1, false, 0).cache_mib == 0);
  CHECK(share_memory(1000, 2, false, 0).scoring_mib == Approx(400));
  CHECK(share_memory(1000, 1, true, 0).cache_mib == Approx(500));
  CHECK(share_memory(1000, 1, true, 0).scoring_mib == Approx(400));
  CHECK(share_memory(1000, 1, false, 300).scoring_mib == Approx(500));
  CHECK(share_memory(1000, 1, false, 3000).scoring_mib == 0);
}

TEST_CASE("kept batches are asked for once, and later passes hand out the same tensors") {
  int asked = 0;
  bool gone = false;
  DeviceBatches batches(std::make_unique<CountingLoader>(3, asked, gone), c10::Device(c10::DeviceType::CPU));
  std::vector<const void*> first;
  batches.start(0);
  for (int i = 0; i < 3; ++i) first.push_back(batches.next().value().images.const_data_ptr());
  CHECK(gone);
  CHECK(batches.complete());
  CHECK_FALSE(batches.next());
  for (int pass = 0; pass < 2; ++pass) {
    batches.start(0);
    for (std::size_t i = 0; i < 3; ++i) {
      const Batch batch = batches.next().value();
      CHECK(batch.images.const_data_ptr() == first[i]);
      CHECK(batch.images.eq(static_cast<int>(i)).all().item<bool>());
      CHECK(batch.geometry.size() == 1);
    }
    CHECK_FALSE(batches.next());
  }
  CHECK(asked == 3);
  CHECK(batches.batches() == 3);
}

TEST_CASE("a first pass that broke off is begun anew") {
  int asked = 0;
  bool gone = false;
  DeviceBatches batches(std::make_unique<CountingLoader>(2, asked, gone), c10::Device(c10::DeviceType::CPU));
  batches.start(0);
  REQUIRE(batches.next());
  batches.start(0);
  for (int i = 0; i < 2; ++i) CHECK(batches.next().value().images.eq(i).all().item<bool>());
  CHECK_FALSE(batches.next());
  CHECK(asked == 3);
}

TEST_CASE("a rank without any batch keeps none") {
  int asked = 0;
  bool gone = false;
  DeviceBatches batches(std::make_unique<CountingLoader>(0, asked, gone), c10::Device(c10::DeviceType::CPU));
  for (int pass = 0; pass < 2; ++pass) {
    batches.start(0);
    CHECK_FALSE(batches.next());
  }
}

TEST_CASE("scores with cache gpu are those without, in the first validation and from kept batches") {
  Validation v;
  const ScoringPlan plan = make_scoring_plan(v.context(), v.spec.validation);
  REQUIRE(plan.batches.size() > 2);
  SnapshotScorer loading(v.context(), plan, plan.batches);
  const PartialScore expected = v.score(loading);
  v.spec.validation.cache = ValidationCache::gpu;
  v.memory.cache_bytes = bytes_on_device(plan.batches);
  SnapshotScorer keeping(v.context(), plan, plan.batches);
  for (int validation = 0; validation < 3; ++validation) CHECK(v.difference(v.score(keeping), expected).empty());
  CHECK(v.memory.warnings->empty());
}

TEST_CASE(
    "batches that do not fit are loaded for every validation, and the record says what they need and what there was") {
  Validation v;
  v.spec.validation.cache = ValidationCache::gpu;
  const ScoringPlan plan = make_scoring_plan(v.context(), v.spec.validation);
  v.memory.cache_bytes = bytes_on_device(plan.batches) - 1;
  SnapshotScorer scorer(v.context(), plan, plan.batches);
  REQUIRE(v.memory.warnings->size() == 1);
  CHECK_THAT(v.memory.warnings->front(), Contains("cache gpu: the " + std::to_string(plan.batches.size()) +
                                                  " validation batches of rank 0 need 0 MiB") &&
                                             Contains("may take 0 MiB, half of"));
  SnapshotScorer share(v.context(), plan, {plan.batches.front()});  // Less than the whole plan fits.
  CHECK(v.memory.warnings->size() == 1);
  CHECK(v.difference(v.score(scorer), v.score(scorer)).empty());
}

TEST_CASE("with batch_size max every plan has the batch that was settled, also that of the exactness gate") {
  Validation v;
  v.spec.validation.batch_max = true;
  CHECK_THROWS_WITH(make_scoring_plan(v.context(), v.spec.validation), Contains("nobody has measured"));
  v.memory.largest_batch = 8;
  v.spec.validation.cache = ValidationCache::gpu;
  v.memory.cache_bytes = 1 << 20;
  const ScoringPlan plan = make_scoring_plan(v.context(), v.spec.validation);
  CHECK(plan.batch_size == 8);
  REQUIRE(plan.batches.size() == 2);
  CHECK(plan.batches.front().images.size() == 8);
  CHECK(make_reference_plan(v.context()).batch_size == 2);

  ExactnessEvidence evidence(VerifyMode::last, {});
  ValidationContext context = v.context();
  context.evidence = &evidence;
  const auto strategy = make_strategy(context);
  std::vector<ValidationRecord> records;
  for (int epoch = 0; epoch < 2; ++epoch) {
    strategy->submit({epoch, v.state, flat_checksum(v.state)});
    for (const ValidationResult& result : strategy->take_ready()) records.push_back(result.record);
  }
  REQUIRE(records.size() == 2);
  CHECK(records.back().batch_size == 8);
  const ExactnessRecord exactness = check_exactness(context, evidence, records, v.state);
  CHECK(exactness.first_difference.empty());
  CHECK_THAT(exactness.unlike_full_set, Contains("batch_size 8 instead of 2"));
}
