// Samples per second of the loaders on a synthetic set of 640x480 JPEGs (or on the data.yaml that VALBENCH_BENCH_DATA
// names).
#include <ATen/core/Tensor.h>
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "data/data_loader.h"
#include "data/synthetic_dataset.h"

namespace {

using namespace valbench;

// The folder goes at exit.
struct BenchData {
  std::filesystem::path folder;
  std::shared_ptr<YoloDataset> dataset;

  BenchData() {
    const char* given = std::getenv("VALBENCH_BENCH_DATA");
    std::filesystem::path yaml = given != nullptr ? given : "";
    if (given == nullptr) {
      std::string pattern = (std::filesystem::temp_directory_path() / "valbench-bench-XXXXXX").string();
      if (mkdtemp(pattern.data()) == nullptr) throw Error("no temporary folder can be made: " + pattern);
      folder = pattern;
      SyntheticSpec spec;
      spec.train_images = 128;
      spec.val_images = 1;
      spec.width = 640;
      spec.height = 480;
      make_synthetic_dataset(spec, folder);
      yaml = folder / "data.yaml";
    }
    dataset = std::make_shared<YoloDataset>(load_yolo_dataset(read_data_config(yaml), Split::train, 2));
  }
  ~BenchData() {
    std::error_code ignored;
    if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
  }
};

const std::shared_ptr<YoloDataset>& dataset() {
  static const BenchData data;
  return data.dataset;
}

void count_samples(benchmark::State& state, DataLoader& loader) {
  std::int64_t samples = 0;
  int epoch = 0;
  for (auto _ : state) {
    loader.start(epoch++);
    while (auto batch = loader.next()) samples += batch->images.size(0);
  }
  state.SetItemsProcessed(samples);
}

// Arguments: imgsz, workers, cache.
void train_mosaic(benchmark::State& state) {
  TrainLoaderOptions options;
  options.imgsz = static_cast<int>(state.range(0));
  options.workers = static_cast<int>(state.range(1));
  options.cache.mode = state.range(2) != 0 ? CacheMode::ram : CacheMode::none;
  const auto loader = make_train_loader(dataset(), options);
  loader->start(0);
  while (loader->next()) {
  }
  count_samples(state, *loader);
}
BENCHMARK(train_mosaic)
    ->ArgNames({"imgsz", "workers", "cache"})
    ->ArgsProduct({{96, 640}, {1, 2}, {0, 1}})
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void validation(benchmark::State& state) {
  const auto imgsz = static_cast<int>(state.range(0));
  const auto plans = plan_validation_batches(*dataset(), {}, imgsz, 32, 32, BatchShape::rect);
  const auto loader =
      make_validation_loader(dataset(), plans, static_cast<int>(state.range(1)), state.range(2) != 0, false);
  loader->start(0);
  while (loader->next()) {
  }
  count_samples(state, *loader);
}
BENCHMARK(validation)
    ->ArgNames({"imgsz", "workers", "cache"})
    ->ArgsProduct({{96, 640}, {1, 2}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void scan(benchmark::State& state) {
  const std::filesystem::path images = dataset()->images.front().file.parent_path();
  DataConfig config;
  config.names.resize(80);
  config.train = {images};
  for (auto _ : state) benchmark::DoNotOptimize(load_yolo_dataset(config, Split::train, 2).labels);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(dataset()->images.size()));
}
BENCHMARK(scan)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
