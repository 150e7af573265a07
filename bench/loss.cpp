// Target assignment, loss and its gradient, as one training step sees them: yolov5 head sizes, 8 targets an image.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "detect/anchors.h"
#include "detect/detection_loss.h"

namespace {

using namespace valbench;

struct Batch {
  std::vector<at::Tensor> raw;
  at::Tensor anchors, targets;
};

Batch batch_of(std::int64_t images, std::int64_t side, std::int64_t classes) {
  at::manual_seed(0);
  Batch batch;
  const std::vector<int> strides = {8, 16, 32};
  batch.anchors = anchors_in_grid_units(p5_anchors(), strides);
  for (const int stride : strides) {
    batch.raw.push_back(at::randn({images, 3, side / stride, side / stride, 5 + classes}).requires_grad_());
  }
  const std::int64_t n = 8 * images;
  batch.targets = at::rand({n, 6});
  batch.targets.select(1, 0).mul_(static_cast<double>(images)).floor_();
  batch.targets.select(1, 1).mul_(static_cast<double>(classes)).floor_();
  batch.targets.slice(1, 4).mul_(0.5).add_(0.01);
  return batch;
}

void run(benchmark::State& state, RowCompaction compaction) {
  const std::int64_t images = state.range(0), side = state.range(1), classes = state.range(2);
  const Batch batch = batch_of(images, side, classes);
  const DetectionLoss loss(
      scaled_loss_gains(Hyperparameters(), 0, 3, static_cast<int>(classes), static_cast<int>(side)),
      static_cast<int>(classes), batch.anchors, compaction);
  for (auto _ : state) {
    const LossResult result = loss(batch.raw, batch.targets);
    result.total.backward();
    for (const at::Tensor& level : batch.raw) level.mutable_grad().reset();
  }
  state.SetItemsProcessed(state.iterations() * images);
}

void loss_of_matched_rows(benchmark::State& state) { run(state, RowCompaction::automatic); }
void loss_of_masked_candidates(benchmark::State& state) { run(state, RowCompaction::never); }

const std::vector<std::vector<std::int64_t>> kShapes = {{8}, {96, 640}, {3, 80}};
BENCHMARK(loss_of_matched_rows)
    ->ArgNames({"images", "side", "classes"})
    ->ArgsProduct(kShapes)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(loss_of_masked_candidates)
    ->ArgNames({"images", "side", "classes"})
    ->ArgsProduct(kShapes)
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
