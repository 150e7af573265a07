// validation.batch_size max and validation.cache gpu on a real GPU.
#include <ATen/ATen.h>
#include <c10/cuda/CUDACachingAllocator.h>

#include <algorithm>

#include "data/synthetic_dataset.h"
#include "detect/state_layout.h"
#include "record/run_store.h"
#include "tests/support/catch.h"
#include "tests/support/gpu.h"
#include "tests/support/small_sweep.h"
#include "train/gpu_probe.h"
#include "train/settle_memory.h"
#include "train/training_loss.h"
#include "validate/score_difference.h"

using namespace valbench;
using namespace valbench::test;

namespace {

const c10::Device kGpu(c10::DeviceType::CUDA, 0);

/// A rank with its validation set and model on GPU 0.
struct Rank {
  explicit Rank(int images, int size) {
    make_synthetic_dataset({.train_images = 2, .val_images = images, .classes = 3, .width = size, .height = size},
                           folder.path() / "data");
    dataset = std::make_shared<YoloDataset>(
        load_yolo_dataset(read_data_config(folder.path() / "data/data.yaml"), Split::val, 4));
    spec.imgsz = size;
    spec.batch_size = 8;
    spec.device = DeviceKind::cuda;
    spec.device_ids = {0};
    spec.amp = AmpMode::fp16;
    spec.workers = 4;
    model->to(kGpu, at::kFloat);
    use_channels_last(model->state());
    state = flatten_state(model->state());
  }
  ValidationContext context() {
    ValidationContext context{spec, *communicator, tracer, dataset, *model, make_training_loss(spec, *model), kGpu};
    context.memory = memory;
    return context;
  }
  /// Scores the share of a plan `times` times.
  std::vector<PartialScore> score(int times) {
    const ScoringPlan plan = make_scoring_plan(context(), spec.validation);
    SnapshotScorer scorer(context(), plan, plan.batches);
    std::vector<PartialScore> all;
    for (int i = 0; i < times; ++i) {
      scorer.load(state);
      all.push_back(scorer.score());
    }
    return all;
  }

  ScratchFolder folder;
  RunSpec spec;
  std::shared_ptr<const YoloDataset> dataset;
  std::unique_ptr<DetectionModel> model = make_yolov5("yolov5n", 3, 1);
  at::Tensor state;
  std::unique_ptr<Communicator> communicator = make_single_communicator();
  Tracer tracer;
  ValidationMemory memory;
};

}  // namespace

TEST_CASE("validations from batches kept on a GPU score what loaded ones do, bit for bit") {
  if (const std::string reason = no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  Rank rank(50, 128);
  const PartialScore loaded = rank.score(1).front();
  rank.spec.validation.cache = ValidationCache::gpu;
  rank.memory = settle_validation_memory(rank.context());
  REQUIRE(rank.memory.cache_bytes);
  for (const PartialScore& kept : rank.score(3)) CHECK(first_difference(kept, loaded, *rank.dataset).empty());
  CHECK(rank.memory.warnings->empty());
}

TEST_CASE("batch_size max is bounded by the memory that is free, and by the images") {
  if (const std::string reason = no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  Rank rank(300, 640);
  rank.spec.validation.batch_max = true;
  const int free = settle_validation_memory(rank.context()).largest_batch;
  INFO("with all memory: " << free);
  CHECK((free == 256 || free_gpu_mib(kGpu) < 16'000));
  // Nearly everything is taken: two GiB are left.
  const auto hog_mib = static_cast<std::int64_t>(free_gpu_mib(kGpu)) - 2048;
  REQUIRE(hog_mib > 0);
  at::Tensor hog = at::empty({hog_mib * 1024 * 1024}, at::TensorOptions(kGpu).dtype(at::kByte));
  rank.memory = settle_validation_memory(rank.context());
  const int tight = rank.memory.largest_batch;
  INFO(rank.memory.warnings->front());
  CHECK(tight >= 1);
  CHECK(tight < free);
  CHECK((tight & (tight - 1)) == 0);
  CHECK(rank.score(1).front().matches.images.size() == 300);  // It runs.
  // Steps of a training beside it take memory first; kept batches take half.
  rank.spec.validation.placement = Placement::overlapped;
  rank.spec.batch_size = 1;
  CHECK(settle_validation_memory(rank.context()).largest_batch <= tight);
  rank.spec.validation.placement = Placement::rank0;
  rank.spec.validation.cache = ValidationCache::gpu;
  CHECK(settle_validation_memory(rank.context()).largest_batch <= tight);
  hog.reset();
  c10::cuda::CUDACachingAllocator::emptyCache();  // The ranks of the next case need it.
}

TEST_CASE("under every placement, two ranks on one GPU settle one batch, keep their batches, and are exact") {
  if (const std::string reason = no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  if (built("src/main/valbench-rank").empty() || built("src/main/valbench").empty())
    VB_SKIP("valbench and valbench-rank are not built");
  const SmallSweep sweep;
  const CapturedRun outcome = sweep.run("memory", {"--set", "device=cuda:0", "--set", "share_gpu=true", "--set",
                                                   "deterministic=true", "--set", "validation.batch_size=max", "--set",
                                                   "strategies=[{name: rank0}, {name: kept, cache: gpu}, {name: "
                                                   "sharded, placement: sharded, cache: gpu}, {name: dedicated, "
                                                   "placement: dedicated, cache: gpu}, {name: overlapped, placement: "
                                                   "overlapped, cache: gpu}, {name: deferred, placement: "
                                                   "deferred, cache: gpu}]"});
  INFO(outcome.output);
  REQUIRE(outcome.exit.ok());
  const auto runs = read_runs(sweep.folder("memory"));
  REQUIRE(runs.size() == 6);
  const RunRecord* plain = nullptr;
  for (const RunRecord& run : runs) {
    if (run.spec.validation.name == "rank0") plain = &run;
  }
  REQUIRE(plain != nullptr);
  for (const RunRecord& run : runs) {
    INFO(run_record_to_json(run));
    CHECK(run.invalid_reasons.empty());
    CHECK(run.exactness.exact == "true");
    REQUIRE_FALSE(run.validations.empty());
    const ValidationRecord& last = run.validations.back();
    CHECK(last.batch_size == 16);  // As many as there are images.
    CHECK(std::count_if(run.warnings.begin(), run.warnings.end(), [](const std::string& w) {
            return w.starts_with("batch_size max: 16 images a batch take ");
          }) == 1);
    if (run.spec.validation.placement == Placement::dedicated) continue;  // One rank trains: other weights.
    CHECK(last.weights_checksum == plain->validations.back().weights_checksum);
    CHECK(last.map50_95 == plain->validations.back().map50_95);
    CHECK(last.loss == plain->validations.back().loss);
  }
}
