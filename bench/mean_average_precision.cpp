// Matching and mAP of a validation set of COCO's size: 5,000 images, 500,000 detections, 80 classes. Target: both
// together under 0.5 s on 2 cores. The set is seeded and shaped like real results: Zipf classes, about 7.3 boxes an
// image, detections that are jittered boxes, duplicates, wrong classes and background.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>

#include "metrics/bootstrap.h"
#include "metrics/matching.h"
#include "metrics/mean_average_precision.h"

namespace {
using namespace valbench;

constexpr int kImages = 5000, kDetectionsPerImage = 100, kClasses = 80;

struct SyntheticSet {
  std::vector<std::vector<Detection>> detections;
  std::vector<std::vector<Label>> labels;
  std::vector<ImageBoxes> images;
};

SyntheticSet make_set() {
  std::mt19937 random(7);
  std::vector<double> weights;
  for (int c = 1; c <= kClasses; ++c) weights.push_back(1 / std::pow(c, .9));
  std::discrete_distribution<int> any_class(weights.begin(), weights.end());
  std::geometric_distribution<int> more_boxes(1 / 7.3);
  std::normal_distribution<float> normal;
  const auto uniform = [&] { return std::uniform_real_distribution<float>()(random); };
  SyntheticSet set;
  set.detections.resize(kImages);
  set.labels.resize(kImages);
  for (int i = 0; i < kImages; ++i) {
    std::vector<Label>& labels = set.labels[static_cast<std::size_t>(i)];
    std::vector<Detection>& detections = set.detections[static_cast<std::size_t>(i)];
    const int count = std::min(60, 1 + more_boxes(random));
    for (int l = 0; l < count; ++l) {
      const float w = std::clamp(std::exp(4.2f + .8f * normal(random)), 4.f, 600.f);
      const float h = std::clamp(std::exp(4.2f + .8f * normal(random)), 4.f, 440.f);
      const float x = uniform() * (640 - w), y = uniform() * (480 - h);
      labels.push_back({static_cast<float>(any_class(random)), x, y, x + w, y + h});
    }
    for (int d = 0; d < kDetectionsPerImage; ++d) {
      const Label& label = labels[random() % labels.size()];
      const float noise = std::abs(.25f * normal(random)), w = label.x2 - label.x1, h = label.y2 - label.y1;
      const bool background = uniform() < .35f;
      const float x = background ? uniform() * 560 : label.x1 + normal(random) * noise * w;
      const float y = background ? uniform() * 400 : label.y1 + normal(random) * noise * h;
      const float score = std::exp(-6 * noise - (background ? 3.f : 0.f) + .6f * std::log(1 - uniform()));
      detections.push_back({x, y, x + w * std::exp(normal(random) * noise), y + h * std::exp(normal(random) * noise),
                            std::clamp(score, .001f, .999f),
                            uniform() < .15f ? static_cast<float>(any_class(random)) : label.cls});
    }
    std::stable_sort(detections.begin(), detections.end(),
                     [](const auto& a, const auto& b) { return a.score > b.score; });
  }
  for (std::size_t i = 0; i < kImages; ++i) {
    set.images.push_back({static_cast<std::int64_t>(i), set.detections[i], set.labels[i]});
  }
  return set;
}

const SyntheticSet& synthetic_set() {
  static const SyntheticSet set = make_set();
  return set;
}

void match(benchmark::State& state) {
  const SyntheticSet& set = synthetic_set();
  for (auto _ : state) benchmark::DoNotOptimize(match_set(set.images, static_cast<int>(state.range(0))));
}

void score(benchmark::State& state) {
  const MatchSet matches = match_set(synthetic_set().images, 2);
  for (auto _ : state) benchmark::DoNotOptimize(mean_average_precision(matches, static_cast<int>(state.range(0))));
}

/// The standard error of a subset's metrics: 200 resamples of its images.
void bootstrap(benchmark::State& state) {
  const auto images = std::span(synthetic_set().images).first(static_cast<std::size_t>(state.range(0)));
  const MatchSet matches = match_set(images, 2);
  double error = 0;
  for (auto _ : state) error = bootstrap_standard_errors(matches, kBootstrapResamples, 0, static_cast<int>(state.range(1))).map50_95;
  state.counters["map50_95_se"] = error;
}

void match_and_score(benchmark::State& state) {
  const SyntheticSet& set = synthetic_set();
  const int threads = static_cast<int>(state.range(0));
  double map50 = 0, map50_95 = 0;
  for (auto _ : state) {
    const MeanAveragePrecision result = mean_average_precision(match_set(set.images, threads), threads);
    map50 = result.map50, map50_95 = result.map50_95;
  }
  state.counters["map50"] = map50;
  state.counters["map50_95"] = map50_95;
}

}  // namespace

BENCHMARK(match)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(score)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(bootstrap)
    ->ArgNames({"images", "threads"})
    ->Args({500, 1})
    ->Args({500, 2})
    ->Args({2500, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(match_and_score)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_MAIN();
