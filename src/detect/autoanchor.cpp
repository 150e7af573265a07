#include "detect/autoanchor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <random>

#include "base/parallel_for.h"

namespace valbench {
namespace {

constexpr std::size_t kChunk = 8192;     // labels added up in one go, so that sums do not depend on threads
constexpr float kSmallestLabel = 2;      // pixels
constexpr double kStopDistance = 1e-5;   // k-means ends when the mean distance changes less: SciPy's default

/// Numbers that are the same with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  std::size_t below(std::size_t count) { return engine_() % count; }

 private:
  std::mt19937_64 engine_;
};

struct Point {
  double x = 0, y = 0;
};

float side_ratio(float a, float b) { return std::min(a, b) / std::max(a, b); }

float match_of(BoxSize label, BoxSize anchor) {
  return std::min(side_ratio(label.w, anchor.w), side_ratio(label.h, anchor.h));
}

std::size_t chunks_of(std::size_t count) { return (count + kChunk - 1) / kChunk; }

double area(const BoxSize& box) { return static_cast<double>(box.w) * box.h; }

std::vector<BoxSize> sorted_by_area(std::vector<BoxSize> boxes) {
  std::stable_sort(boxes.begin(), boxes.end(), [](const BoxSize& a, const BoxSize& b) { return area(a) < area(b); });
  return boxes;
}

/// One assignment of all points to their nearest centre.
struct Assignment {
  std::vector<Point> sums;
  std::vector<std::size_t> members;
  double distance = 0;  ///< Sum over the points.
};

Assignment assign(const std::vector<Point>& points, const std::vector<Point>& centres, int threads) {
  const std::size_t chunks = chunks_of(points.size());
  const Assignment none{std::vector<Point>(centres.size()), std::vector<std::size_t>(centres.size()), 0};
  std::vector<Assignment> parts(chunks, none);
  parallel_for(chunks, threads, [&](std::size_t chunk) {
    Assignment& part = parts[chunk];
    for (std::size_t i = chunk * kChunk; i < std::min(points.size(), (chunk + 1) * kChunk); ++i) {
      double nearest = std::numeric_limits<double>::infinity();
      std::size_t at = 0;
      for (std::size_t k = 0; k < centres.size(); ++k) {
        const double dx = points[i].x - centres[k].x, dy = points[i].y - centres[k].y, d = dx * dx + dy * dy;
        if (d < nearest) nearest = d, at = k;
      }
      part.sums[at].x += points[i].x, part.sums[at].y += points[i].y;
      ++part.members[at];
      part.distance += std::sqrt(nearest);
    }
  });
  Assignment all = none;
  for (const Assignment& part : parts) {
    for (std::size_t k = 0; k < centres.size(); ++k) {
      all.sums[k].x += part.sums[k].x, all.sums[k].y += part.sums[k].y;
      all.members[k] += part.members[k];
    }
    all.distance += part.distance;
  }
  return all;
}

std::vector<Point> different_points(const std::vector<Point>& points, std::size_t count, Random& random) {
  std::vector<std::size_t> chosen;
  while (chosen.size() < count) {
    const std::size_t index = random.below(points.size());
    if (std::find(chosen.begin(), chosen.end(), index) == chosen.end()) chosen.push_back(index);
  }
  std::vector<Point> out;
  for (const std::size_t index : chosen) out.push_back(points[index]);
  return out;
}

/// Lloyd's iteration as SciPy has it: centres without points are dropped. Returns the last mean distance.
double k_means(const std::vector<Point>& points, std::vector<Point>& centres, int threads) {
  double last = std::numeric_limits<double>::infinity();
  for (;;) {
    const Assignment assignment = assign(points, centres, threads);
    centres.clear();
    for (std::size_t k = 0; k < assignment.sums.size(); ++k) {
      const auto members = static_cast<double>(assignment.members[k]);
      if (members > 0) centres.push_back({assignment.sums[k].x / members, assignment.sums[k].y / members});
    }
    const double distance = assignment.distance / static_cast<double>(points.size());
    if (std::abs(last - distance) <= kStopDistance) return distance;
    last = distance;
  }
}

/// Standard deviations of widths and heights.
Point deviation_of(const std::vector<BoxSize>& labels) {
  const auto n = static_cast<double>(labels.size());
  Point mean, square;
  for (const BoxSize& box : labels) mean.x += box.w / n, mean.y += box.h / n;
  for (const BoxSize& box : labels) {
    square.x += (box.w - mean.x) * (box.w - mean.x) / n;
    square.y += (box.h - mean.y) * (box.h - mean.y) / n;
  }
  return {std::sqrt(square.x), std::sqrt(square.y)};
}

std::vector<BoxSize> random_anchors(const AnchorSearch& search, Random& random) {
  std::vector<double> values(2 * static_cast<std::size_t>(search.count));
  for (double& value : values) value = random.uniform() * search.imgsz;
  std::sort(values.begin(), values.end());
  std::vector<BoxSize> anchors;
  for (std::size_t i = 0; i < values.size(); i += 2)
    anchors.push_back({static_cast<float>(values[i]), static_cast<float>(values[i + 1])});
  return anchors;
}

/// Centres of the label sizes in units of their standard deviation; random ones where k-means gives too few.
std::vector<BoxSize> clustered_anchors(const std::vector<BoxSize>& labels, const AnchorSearch& search, Random& random) {
  const auto count = static_cast<std::size_t>(search.count);
  if (labels.size() < count) return random_anchors(search, random);
  const Point deviation = deviation_of(labels);
  if (!(deviation.x > 0 && deviation.y > 0)) return random_anchors(search, random);
  std::vector<Point> points;
  points.reserve(labels.size());
  for (const BoxSize& box : labels) points.push_back({box.w / deviation.x, box.h / deviation.y});
  std::vector<Point> best;
  double best_distance = std::numeric_limits<double>::infinity();
  for (int restart = 0; restart < search.restarts; ++restart) {
    std::vector<Point> centres = different_points(points, count, random);
    const double distance = k_means(points, centres, search.threads);
    if (distance < best_distance) best = centres, best_distance = distance;
  }
  if (best.size() != count) return random_anchors(search, random);
  std::vector<BoxSize> anchors;
  for (const Point& centre : best)
    anchors.push_back({static_cast<float>(centre.x * deviation.x), static_cast<float>(centre.y * deviation.y)});
  return anchors;
}

/// Factors around 1, of which at least one is not 1.
std::vector<double> draw_factors(std::size_t count, Random& random) {
  constexpr double kProbability = 0.9, kSpread = 0.1;
  std::vector<double> factors(count, 1.0);
  while (std::all_of(factors.begin(), factors.end(), [](double f) { return f == 1; })) {
    const double strength = random.uniform();
    for (double& factor : factors) {
      const bool changed = random.uniform() < kProbability;
      const double step = random.normal() * kSpread * strength;
      factor = std::clamp(changed ? 1 + step : 1.0, 0.3, 3.0);
    }
  }
  return factors;
}

}  // namespace

AnchorFit measure_anchors(const std::vector<BoxSize>& labels, const std::vector<BoxSize>& anchors, double anchor_t) {
  const auto limit = static_cast<float>(1 / anchor_t);
  std::int64_t matched = 0, pairs = 0;
  for (const BoxSize& label : labels) {
    const auto fitting = std::count_if(anchors.begin(), anchors.end(),
                                       [&](const BoxSize& anchor) { return match_of(label, anchor) > limit; });
    matched += fitting > 0 ? 1 : 0;
    pairs += fitting;
  }
  const auto n = static_cast<double>(std::max<std::size_t>(1, labels.size()));
  return {static_cast<double>(matched) / n, static_cast<double>(pairs) / n};
}

double anchor_fitness(const std::vector<BoxSize>& labels, const std::vector<BoxSize>& anchors, double anchor_t,
                      int threads) {
  const auto limit = static_cast<float>(1 / anchor_t);
  std::vector<double> sums(chunks_of(labels.size()));
  parallel_for(sums.size(), threads, [&](std::size_t chunk) {
    double sum = 0;
    for (std::size_t i = chunk * kChunk; i < std::min(labels.size(), (chunk + 1) * kChunk); ++i) {
      float best = 0;
      for (const BoxSize& anchor : anchors) best = std::max(best, match_of(labels[i], anchor));
      sum += best > limit ? static_cast<double>(best) : 0;
    }
    sums[chunk] = sum;
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(std::max<std::size_t>(1, labels.size()));
}

std::vector<BoxSize> search_anchors(const std::vector<BoxSize>& labels, const AnchorSearch& search) {
  Random random(search.seed);
  std::vector<BoxSize> usable;
  for (const BoxSize& box : labels) {
    if (box.w >= kSmallestLabel || box.h >= kSmallestLabel) usable.push_back(box);
  }
  std::vector<BoxSize> anchors = sorted_by_area(clustered_anchors(usable, search, random));
  double best = anchor_fitness(usable, anchors, search.anchor_t, search.threads);
  for (int generation = 0; generation < search.generations; ++generation) {
    const std::vector<double> factors = draw_factors(2 * anchors.size(), random);
    std::vector<BoxSize> candidate = anchors;
    for (std::size_t i = 0; i < candidate.size(); ++i) {
      candidate[i].w = static_cast<float>(std::max(candidate[i].w * factors[2 * i], 2.0));
      candidate[i].h = static_cast<float>(std::max(candidate[i].h * factors[2 * i + 1], 2.0));
    }
    const double fitness = anchor_fitness(usable, candidate, search.anchor_t, search.threads);
    if (fitness > best) best = fitness, anchors = candidate;
  }
  return sorted_by_area(std::move(anchors));
}

}  // namespace valbench
