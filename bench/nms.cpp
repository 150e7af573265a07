// Non-maximum suppression of decoded predictions in host memory, by the number of confident rows an image.
#include "detect/nms.h"

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

namespace {

using namespace valbench;

// Clusters of overlapping boxes around 20 objects an image: what a trained network gives.
at::Tensor prediction_of(std::int64_t images, std::int64_t confident, std::int64_t classes) {
  at::manual_seed(0);
  constexpr std::int64_t kRows = 25200, kObjects = 20;  // rows of a 640 px image
  at::Tensor prediction = at::rand({images, kRows, 5 + classes});
  prediction.select(2, 4).mul_(5e-4);
  const at::Tensor objects = at::rand({images, kObjects, 4}) * at::tensor({600.F, 600.F, 120.F, 120.F}) + 20;
  const at::Tensor of =
      at::randint(kObjects, {images, confident}).to(at::kLong).unsqueeze(2).expand({images, confident, 4});
  at::Tensor rows = prediction.narrow(1, 0, confident);
  rows.slice(2, 0, 4).copy_(objects.gather(1, of) + at::randn({images, confident, 4}) * 6);
  rows.select(2, 4).copy_(at::rand({images, confident}).square());
  rows.slice(2, 5).pow_(static_cast<double>(classes) / 2);  // few classes of a row are likely
  return prediction;
}

void nms(benchmark::State& state) {
  constexpr int images = 8;
  const std::int64_t confident = state.range(0), classes = state.range(1);
  const at::Tensor prediction = prediction_of(images, confident, classes);
  const NmsOptions options{.threads = static_cast<int>(state.range(2))};
  NmsResult result;
  for (auto _ : state) {
    result = non_maximum_suppression(prediction, options);
    benchmark::DoNotOptimize(result);
  }
  std::int64_t candidates = 0, kept = 0;
  for (std::size_t i = 0; i < result.images.size(); ++i) {
    candidates += result.candidates[i];
    kept += static_cast<std::int64_t>(result.images[i].size());
  }
  state.counters["candidates_per_image"] = static_cast<double>(candidates) / images;
  state.counters["kept_per_image"] = static_cast<double>(kept) / images;
  state.counters["image_time"] =
      benchmark::Counter(images, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

BENCHMARK(nms)
    ->ArgNames({"confident", "classes", "threads"})
    ->ArgsProduct({{100, 1000, 10000}, {1, 3, 80}, {1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
