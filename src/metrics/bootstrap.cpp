#include "metrics/bootstrap.h"

#include <cmath>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/parallel_for.h"
#include "metrics/mean_average_precision.h"

namespace valbench {
namespace {

/// Where each image's detections and labels begin.
struct Offsets {
  std::vector<std::size_t> detections, labels;
  explicit Offsets(const MatchSet& matches) {
    std::size_t detection = 0, label = 0;
    for (const MatchSet::Image& image : matches.images) {
      detections.push_back(detection), labels.push_back(label);
      detection += image.detections, label += image.labels;
    }
  }
};

MatchSet resample(const MatchSet& matches, const Offsets& offsets, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const std::size_t count = matches.images.size();
  MatchSet drawn;
  for (std::size_t i = 0; i < count; ++i) {
    // 64 random bits modulo a number of images: the bias is below 1e-12.
    const std::size_t at = engine() % count;
    MatchSet::Image image = matches.images[at];
    const auto detections = matches.detections.begin() + static_cast<std::ptrdiff_t>(offsets.detections[at]);
    const auto labels = matches.label_classes.begin() + static_cast<std::ptrdiff_t>(offsets.labels[at]);
    drawn.detections.insert(drawn.detections.end(), detections, detections + image.detections);
    drawn.label_classes.insert(drawn.label_classes.end(), labels, labels + image.labels);
    image.id = static_cast<std::int64_t>(i);
    drawn.images.push_back(image);
  }
  return drawn;
}

double mean_of(const std::vector<double>& values) {
  double mean = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  return mean;
}

double standard_deviation(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

}  // namespace

StandardErrors bootstrap_standard_errors(const MatchSet& matches, int resamples, std::uint64_t seed, int threads) {
  if (matches.images.size() < 2 || resamples < 2) throw Error("a bootstrap needs two images and two resamples");
  const Offsets offsets(matches);
  std::vector<double> map50(static_cast<std::size_t>(resamples)), map50_95(map50.size());
  parallel_for(map50.size(), threads, [&](std::size_t i) {
    const MeanAveragePrecision map = mean_average_precision(resample(matches, offsets, seed + i));
    map50[i] = map.map50, map50_95[i] = map.map50_95;
  });
  return {standard_deviation(map50), standard_deviation(map50_95), mean_of(map50_95) - mean_average_precision(matches, threads).map50_95};
}

}  // namespace valbench
