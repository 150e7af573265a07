// What sharding a validation over two CPU ranks costs beside the scoring itself, each held against a yardstick in the same run, in turn:
// - validation: 16 equal batches sharded, against the slower of two independent one-rank validations of half the batches each, started
//   together. Target: ratio at most 1.10.
// - snapshot: yolov5s's flat EMA broadcast and copied into the models that score it, as the strategy does it (its span val.broadcast),
//   against a plain broadcast of as many bytes. Target: ratio at most 2, one collective. Beside them one broadcast per tensor, and one copy
//   of the bytes in memory.
// - gather: the results of 5,000 images with 500,000 detections, from two ranks' structs to rank 0's merged ones. Target: under 0.2 s and
//   under 16 bytes a detection.
// Ratios are of the pairs of one run: median (`ratio`), smallest and largest. The weights are those of the quickstart; run it from the
// repository's root, or with VALBENCH_SOURCE.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "base/error.h"
#include "comm/collective_log.h"
#include "data/synthetic_dataset.h"
#include "detect/state_layout.h"
#include "detect/weights/model_weights.h"
#include "train/training_loss.h"
#include "validate/make_strategy.h"
#include "validate/shard.h"

namespace {
using namespace valbench;
namespace fs = std::filesystem;

constexpr int kPort = 29561;
constexpr int kBatches = 16, kBatch = 16;
constexpr int kImages = 5000, kDetectionsPerImage = 100, kLabelsPerImage = 7;

// Of this rank.
std::shared_ptr<CollectiveLog> collectives;
std::unique_ptr<Communicator> communicator;
fs::path data_folder;

/// The slower rank's seconds, on both.
double slower(double seconds) {
  std::vector<std::byte> bytes(sizeof seconds);
  std::memcpy(bytes.data(), &seconds, sizeof seconds);
  for (const auto& part : communicator->gather_bytes(bytes, 0)) {
    double other = 0;
    std::memcpy(&other, part.data(), sizeof other);
    seconds = std::max(seconds, other);
  }
  std::memcpy(bytes.data(), &seconds, sizeof seconds);
  std::memcpy(&seconds, communicator->broadcast_bytes(bytes, 0).data(), sizeof seconds);
  return seconds;
}

/// Both ranks start together; the slower one's seconds.
template <class Work>
double timed(Work&& work) {
  communicator->barrier();
  const std::int64_t begin_ns = now_ns();
  work();
  return slower(seconds_between(begin_ns, now_ns()));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Pairs of one benchmark: what is measured and its yardstick.
class Pairs {
 public:
  void add(double seconds, double yardstick) {
    seconds_.push_back(seconds), yardsticks_.push_back(yardstick);
    ratios_.push_back(seconds / yardstick);
  }
  void report(benchmark::State& state, const char* yardstick) const {
    state.counters["ratio"] = median(ratios_);
    state.counters["ratio_min"] = *std::min_element(ratios_.begin(), ratios_.end());
    state.counters["ratio_max"] = *std::max_element(ratios_.begin(), ratios_.end());
    state.counters["median_ms"] = 1000 * median(seconds_);
    state.counters[yardstick] = 1000 * median(yardsticks_);
  }

 private:
  std::vector<double> seconds_, yardsticks_, ratios_;
};

/// A strategy with all that it needs, over the given ranks and images.
struct Validation {
  RunSpec spec;
  std::shared_ptr<const YoloDataset> dataset;
  std::unique_ptr<DetectionModel> model;
  at::Tensor state;
  Tracer tracer;
  std::unique_ptr<ValidationStrategy> strategy;

  Validation(const std::string& model_name, std::shared_ptr<const YoloDataset> images, Placement placement, int batch, Communicator& ranks)
      : dataset(std::move(images)), model(make_yolov5(model_name, dataset->classes, 0)) {
    spec.model = model_name;
    spec.imgsz = 128;
    spec.batch_size = 2 * batch;
    spec.ranks = 2;
    spec.torch_threads = 1;
    spec.validation.placement = placement;
    spec.validation.batch_size = batch;
    const char* source = std::getenv("VALBENCH_SOURCE");
    const fs::path weights = fs::path(source != nullptr ? source : ".") / "scenarios/weights/quickstart.safetensors";
    if (model_name == "yolov5n") load_model_weights(weights, {.whole = true}, *model);
    const std::unique_ptr<DetectionModel> copy = model->clone();
    state = flatten_state(copy->state());
    strategy = make_strategy({spec, ranks, tracer, dataset, *model, make_training_loss(spec, *model), at::kCPU});
  }

  void run() {
    strategy->submit({.epoch = 0, .state = state});
    benchmark::DoNotOptimize(strategy->take_ready());
  }
};

std::shared_ptr<YoloDataset> validation_images() {
  return std::make_shared<YoloDataset>(load_yolo_dataset(read_data_config(data_folder / "data.yaml"), Split::val, 1));
}

void validation(benchmark::State& state) {
  const auto all = validation_images();
  const std::vector<BatchPlan> batches = plan_validation_batches(*all, {}, 128, kBatch, 32, BatchShape::rect);
  if (batches.size() != kBatches) throw Error("the set has " + std::to_string(batches.size()) + " batches");
  auto half = std::make_shared<YoloDataset>(*all);
  half->images.clear();
  for (const BatchPlan& batch : share_of_batches(batches, ShardMode::batches, communicator->rank(), 2)) {
    for (const std::int64_t image : batch.images) half->images.push_back(all->images[static_cast<std::size_t>(image)]);
  }
  const auto alone = make_single_communicator();
  Validation sharded("yolov5n", all, Placement::sharded, kBatch, *communicator);
  Validation independent("yolov5n", half, Placement::rank0, kBatch, *alone);
  sharded.run(), independent.run();  // The images are in memory from now on.
  Pairs pairs;
  bool sharded_first = true;  // Who goes first changes from pair to pair.
  for (auto _ : state) {
    double together = 0, apart = 0;
    for (const bool of_sharded : {sharded_first, !sharded_first}) {
      (of_sharded ? together : apart) = timed([&] { (of_sharded ? sharded : independent).run(); });
    }
    sharded_first = !sharded_first;
    pairs.add(together, apart);
    state.SetIterationTime(together);
  }
  pairs.report(state, "halves_ms");
}

void snapshot(benchmark::State& state) {
  auto two = validation_images();
  two->images.resize(2);
  Validation sharded("yolov5s", two, Placement::sharded, 1, *communicator);
  sharded.run();
  std::vector<at::Tensor> tensors;
  for (const StateEntry& entry : sharded.model->state()) tensors.push_back(entry.tensor.clone());
  const at::Tensor bytes = sharded.state.clone(), copy = bytes.clone();  // Zeros would all be one page of memory.
  Pairs pairs;
  std::vector<double> per_tensor, copied;
  std::uint64_t calls = 0;
  bool plain_first = false;
  for (auto _ : state) {
    double plain = 0;
    if (plain_first) plain = timed([&] { communicator->broadcast(bytes, 0); });
    const std::int64_t before_ns = sharded.tracer.sum(Phase::val_broadcast).total_ns;
    communicator->barrier();
    sharded.run();
    const double seconds = slower(seconds_between(before_ns, sharded.tracer.sum(Phase::val_broadcast).total_ns));
    if (!plain_first) plain = timed([&] { communicator->broadcast(bytes, 0); });
    plain_first = !plain_first;
    pairs.add(seconds, plain);
    per_tensor.push_back(timed([&] {
      for (const at::Tensor& tensor : tensors) communicator->broadcast(tensor, 0);
    }));
    copied.push_back(timed([&] { copy.copy_(bytes); }));
    state.SetIterationTime(seconds);
  }
  {
    const std::uint64_t before = collectives->status().issued;
    sharded.run();
    for (const CollectiveCall& call : collectives->status().calls) calls += call.number > before && call.name == "broadcast";
  }
  pairs.report(state, "plain_ms");
  state.counters["broadcasts"] = static_cast<double>(calls);
  state.counters["per_tensor_ms"] = 1000 * median(per_tensor);
  state.counters["copy_ms"] = 1000 * median(copied);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.nbytes()));
}

/// Every other batch's images, as a rank has matched them.
PartialScore made_up_score(int rank) {
  std::mt19937 random(static_cast<unsigned>(rank));
  PartialScore score;
  for (std::int64_t image = 0; image < kImages; ++image) {
    if (image / kBatch % 2 != rank) continue;
    score.matches.images.push_back({image, kDetectionsPerImage, kLabelsPerImage});
    for (int d = 0; d < kDetectionsPerImage; ++d) {
      const auto bits = static_cast<std::uint32_t>(random());
      score.matches.detections.push_back({static_cast<float>(kDetectionsPerImage - d) / kDetectionsPerImage,
                                          static_cast<std::uint16_t>(bits % 80), static_cast<std::uint16_t>(bits >> 22)});
    }
    for (int l = 0; l < kLabelsPerImage; ++l) score.matches.label_classes.push_back(static_cast<std::uint16_t>(random() % 80));
    if (image % kBatch == 0) score.losses.push_back({image / kBatch, {.1f, .2f, .3f}});
  }
  return score;
}

void gather(benchmark::State& state) {
  const PartialScore mine = made_up_score(communicator->rank());
  std::size_t bytes = 0, detections = 0;
  for (auto _ : state) {
    state.SetIterationTime(timed([&] {
      std::vector<PartialScore> parts;
      bytes = 0;
      for (const auto& part : communicator->gather_bytes(pack_score(mine), 0)) {
        bytes += part.size();
        parts.push_back(unpack_score(part));
      }
      if (communicator->rank() == 0) detections = merge_scores(parts).matches.detections.size();
    }));
  }
  state.counters["detections"] = static_cast<double>(detections);
  state.counters["bytes_per_detection"] = detections > 0 ? static_cast<double>(bytes) / static_cast<double>(detections) : 0;
}

/// The images of the benchmarks, made before there are ranks; gone at the end.
struct DataFolder {
  DataFolder() {
    std::string pattern = (fs::temp_directory_path() / "valbench-bench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw Error("no temporary folder can be made: " + pattern);
    data_folder = pattern;
    SyntheticSpec spec;
    spec.train_images = 1, spec.val_images = kBatches * kBatch, spec.vary = false;
    make_synthetic_dataset(spec, data_folder);
  }
  ~DataFolder() {
    std::error_code ignored;
    fs::remove_all(data_folder, ignored);
  }
};

}  // namespace

// Both ranks run the same fixed number of iterations, so that their collectives match.
BENCHMARK(validation)->Iterations(21)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(snapshot)->Iterations(41)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(gather)->Iterations(21)->UseManualTime()->Unit(benchmark::kMillisecond);

int main(int argc, char** argv) {
  std::optional<DataFolder> data(std::in_place);
  // Before LibTorch has started a thread, so a plain fork is enough. Rank 1 keeps quiet.
  const bool parent = fork() != 0;
  if (!parent && freopen("/dev/null", "w", stdout) == nullptr) return 1;
  at::set_num_threads(1);
  at::init_num_threads();
  collectives = std::make_shared<CollectiveLog>("world", std::vector<int>{0, 1}, std::make_shared<ProcessProgress>());
  communicator = make_watched_communicator(make_c10d_communicator({.rank = parent ? 0 : 1, .world_size = 2, .port = kPort}, at::kCPU),
                                           collectives, {});
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  communicator->barrier();
  communicator.reset();
  if (!parent) ::_exit(0);  // The folder is the parent's.
  ::wait(nullptr);
  return 0;
}
