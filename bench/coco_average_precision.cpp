// COCO's twelve numbers: from detections in memory, and from files. VALBENCH_COCO_SET names a folder with gt.json and
// dt.json, by default made up here: 5,000 images, 36,000 labels, 500,000 detections, 80 categories, alike to that of
// the peers.
#include "metrics/coco_average_precision.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "metrics/coco_json.h"

namespace {

using namespace valbench;

CocoSet made_up_set() {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::normal_distribution<double> normal(0, 1);
  const auto category = [&] { return static_cast<std::uint32_t>(std::min(79.0, std::pow(81, uniform(random)) - 1)); };
  CocoSet set{.images = 5000, .categories = 80, .labels = {}, .detections = {}};
  for (std::uint32_t image = 0; image < set.images; ++image) {
    const std::size_t first = set.labels.size();
    do {
      CocoLabel label{.image = image, .category = category(), .crowd = uniform(random) < 0.01};
      label.w = std::clamp(std::exp(4.2 + 0.8 * normal(random)), 4.0, 600.0);
      label.h = std::clamp(std::exp(4.2 + 0.8 * normal(random)), 4.0, 440.0);
      label.x = uniform(random) * (640 - label.w), label.y = uniform(random) * (480 - label.h);
      label.area = label.w * label.h;
      set.labels.push_back(label);
    } while (uniform(random) > 1 / 7.3);
    for (int d = 0; d < 100; ++d) {
      const CocoLabel& label = set.labels[first + random() % (set.labels.size() - first)];
      const double noise = std::abs(0.25 * normal(random));
      const bool background = uniform(random) < 0.35;
      CocoDetection detection{.image = image, .category = uniform(random) < 0.15 ? category() : label.category};
      detection.x = background ? uniform(random) * 560 : label.x + normal(random) * noise * label.w;
      detection.y = background ? uniform(random) * 400 : label.y + normal(random) * noise * label.h;
      detection.w = label.w * std::exp(normal(random) * noise),
      detection.h = label.h * std::exp(normal(random) * noise);
      detection.score = std::exp(-6 * noise - 3 * background + 0.6 * std::log(uniform(random) + 1e-9));
      set.detections.push_back(detection);
    }
  }
  return set;
}

const char* set_folder() { return std::getenv("VALBENCH_COCO_SET"); }

CocoSet read_set() {
  const std::filesystem::path folder = set_folder();
  return read_coco_set(folder / "gt.json", folder / "dt.json");
}

void coco_from_memory(benchmark::State& state) {
  static const CocoSet set = set_folder() != nullptr ? read_set() : made_up_set();
  CocoAveragePrecision result;
  for (auto _ : state) {
    result = coco_average_precision(set, static_cast<int>(state.range(0)));
    benchmark::DoNotOptimize(result);
  }
  state.counters["AP"] = result.ap;
  state.counters["AP50"] = result.ap50;
  state.counters["detections"] = static_cast<double>(set.detections.size());
}

void coco_read_files(benchmark::State& state) {
  if (set_folder() == nullptr) return state.SkipWithError("VALBENCH_COCO_SET names no folder with gt.json and dt.json");
  for (auto _ : state) benchmark::DoNotOptimize(read_set());
}

BENCHMARK(coco_from_memory)->ArgName("threads")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(coco_read_files)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
