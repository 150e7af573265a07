#include "metrics/mean_average_precision.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/parallel_for.h"

namespace valbench {
namespace {

constexpr int kConfidences = kCurvePoints;
constexpr int kRecallPoints = 101;   // points of the AP integral
constexpr int kSmoothingTaps = 101;  // of the box filter over the mean F1
constexpr double kCurveStep = 1.0 / (kCurvePoints - 1);
constexpr double kEpsilon = 1e-16;

using Curve = MetricCurve;

// A detection within its class: sorting the key ascending is sorting by descending score, ties in canonical order.
struct Ranked {
  std::uint64_t key;
  std::uint16_t correct;
};

// Larger scores give smaller numbers; adding zero makes -0 equal to +0. Integers, because NaN would break a sort of
// floats.
std::uint32_t descending_bits(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.f);
  return (bits & 0x8000'0000u) != 0 ? bits : ~bits & 0x7fff'ffffu;
}

float score_of(const Ranked& ranked) {
  const auto bits = static_cast<std::uint32_t>(ranked.key >> 32);
  return std::bit_cast<float>((bits & 0x8000'0000u) != 0 ? bits : ~bits & 0x7fff'ffffu);
}

// numpy.interp between two neighbouring points.
double interpolate(double x, double x0, double y0, double x1, double y1) {
  if (x == x0) return y0;
  const double slope = (y1 - y0) / (x1 - x0);
  return slope * (x - x0) + y0;
}

// The precision envelope over recall at evenly spaced recalls 0, step .. 1 (§6.8). Recall only moves at true positives,
// so between two of them only the first and the last point matter; `positions` holds the true positives' ranks.
template <std::size_t Points>
std::array<double, Points> precision_envelope(const std::vector<std::uint32_t>& positions, std::size_t detections,
                                              double labels, double step) {
  const std::size_t hits = positions.size();
  // Points of equal recall in a row: entering[k] is the envelope at the first with k true positives, leaving[k] at the
  // last.
  std::vector<double> entering(hits + 1), leaving(hits + 1);
  double envelope = 0;  // the sentinel behind the last point
  for (std::size_t k = hits + 1; k-- > 0;) {
    const std::size_t last = k == hits ? detections : positions[k];  // count of detections up to the group's last
    if (last > 0) envelope = std::max(envelope, static_cast<double>(k) / static_cast<double>(last));
    leaving[k] = envelope;
    if (k > 0) envelope = std::max(envelope, static_cast<double>(k) / static_cast<double>(positions[k - 1] + 1));
    entering[k] = envelope;
  }
  // The sentinel in front (recall 0, precision 1) is the last point of recall 0 when the first detection is a hit.
  if (hits > 0 && positions[0] == 0) leaving[0] = 1;

  const auto recall_of = [&](std::size_t k) { return static_cast<double>(k) / (labels + kEpsilon); };
  std::array<double, Points> y{};
  std::size_t k = 0;
  for (std::size_t i = 0; i < Points; ++i) {
    const double x = i == Points - 1 ? 1.0 : static_cast<double>(i) * step;
    while (k < hits && recall_of(k + 1) <= x) ++k;
    const double next_recall = k < hits ? recall_of(k + 1) : 1.0;
    const double next = k < hits ? entering[k + 1] : 0.0;
    // At recall 1 the sentinel behind is the last point, and its precision is 0: a perfect class scores 0.995.
    y[i] = x >= 1.0 ? 0.0 : interpolate(x, recall_of(k), leaving[k], next_recall, next);
  }
  return y;
}

// AP at one threshold (§6.8): trapezoids under 101 points of the envelope.
double average_precision(const std::vector<std::uint32_t>& positions, std::size_t detections, double labels) {
  const auto y = precision_envelope<kRecallPoints>(positions, detections, labels, 0.01);
  double area = 0;
  for (int i = 1; i < kRecallPoints; ++i) {
    const double x1 = i == kRecallPoints - 1 ? 1.0 : i * 0.01;
    area += (x1 - (i - 1) * 0.01) * (y[static_cast<std::size_t>(i)] + y[static_cast<std::size_t>(i) - 1]) / 2.0;
  }
  return area;
}

// Precision, recall and F1 at 1000 confidences, from the hits at IoU .5.
ClassCurves curves_of(const std::vector<Ranked>& ranked, double labels) {
  ClassCurves curves;
  std::vector<std::uint32_t> hits(ranked.size());
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) hits[i] = count += ranked[i].correct & 1u;
  const auto recall_at = [&](std::size_t i) { return hits[i] / (labels + kEpsilon); };
  const auto precision_at = [&](std::size_t i) { return hits[i] / static_cast<double>(i + 1); };
  std::size_t after =
      ranked.size();  // number of detections whose confidence is at least px, found from the low end upwards
  for (int point = 0; point < kConfidences; ++point) {
    const double px = point == kConfidences - 1 ? 1.0 : point * kCurveStep;
    while (after > 0 && score_of(ranked[after - 1]) < px) --after;
    const auto p = static_cast<std::size_t>(point);
    if (after == 0) {
      curves.precision[p] = 1, curves.recall[p] = 0;
    } else if (after == ranked.size()) {
      curves.precision[p] = precision_at(after - 1), curves.recall[p] = recall_at(after - 1);
    } else {
      const double x0 = -static_cast<double>(score_of(ranked[after - 1])),
                   x1 = -static_cast<double>(score_of(ranked[after]));
      curves.precision[p] = interpolate(-px, x0, precision_at(after - 1), x1, precision_at(after));
      curves.recall[p] = interpolate(-px, x0, recall_at(after - 1), x1, recall_at(after));
    }
    curves.f1[p] = 2 * curves.precision[p] * curves.recall[p] / (curves.precision[p] + curves.recall[p] + kEpsilon);
  }
  return curves;
}

ClassCurves score_class(std::vector<Ranked>& ranked, ClassAveragePrecision& result) {
  if (ranked.empty()) return {};
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) { return a.key < b.key; });
  std::array<std::vector<std::uint32_t>, kIouThresholds> positions;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    for (unsigned bits = ranked[i].correct; bits != 0; bits &= bits - 1) {
      positions[static_cast<std::size_t>(std::countr_zero(bits))].push_back(static_cast<std::uint32_t>(i));
    }
  }
  const auto labels = static_cast<double>(result.labels);
  for (std::size_t t = 0; t < kIouThresholds; ++t)
    result.ap[t] = average_precision(positions[t], ranked.size(), labels);
  ClassCurves curves = curves_of(ranked, labels);
  curves.precision_at_recall = precision_envelope<kCurvePoints>(positions[0], ranked.size(), labels, kCurveStep);
  return curves;
}

// Where the mean F1, smoothed with a box filter over its edge-padded points, is largest; the first of equals.
int best_smoothed_f1(const std::vector<ClassCurves>& curves) {
  Curve mean{};
  for (const ClassCurves& curve : curves) {
    for (std::size_t i = 0; i < kConfidences; ++i) mean[i] += curve.f1[i];
  }
  for (double& value : mean) value /= static_cast<double>(curves.size());
  int best = 0;
  double best_value = -1;
  for (int i = 0; i < kConfidences; ++i) {
    double value = 0;
    for (int tap = i - kSmoothingTaps / 2; tap <= i + kSmoothingTaps / 2; ++tap) {
      value += mean[static_cast<std::size_t>(std::clamp(tap, 0, kConfidences - 1))] * (1.0 / kSmoothingTaps);
    }
    if (value > best_value) best_value = value, best = i;
  }
  return best;
}

void take_means(MeanAveragePrecision& result) {
  const auto count = static_cast<double>(result.classes.size());
  for (const ClassAveragePrecision& c : result.classes) {
    result.precision += c.precision;
    result.recall += c.recall;
    result.map50 += c.map50();
    result.map50_95 += c.map50_95();
  }
  for (double* mean : {&result.precision, &result.recall, &result.map50, &result.map50_95}) *mean /= count;
}

}  // namespace

double ClassAveragePrecision::map50_95() const { return std::accumulate(ap.begin(), ap.end(), 0.0) / kIouThresholds; }

MeanAveragePrecision mean_average_precision(const MatchSet& matches, int threads) {
  std::vector<ClassCurves> unused;
  return mean_average_precision(matches, threads, unused);
}

MeanAveragePrecision mean_average_precision(const MatchSet& matches, int threads, std::vector<ClassCurves>& curves) {
  curves.clear();
  MeanAveragePrecision result;
  std::vector<std::int64_t> labels;
  for (const std::uint16_t cls : matches.label_classes) {
    if (cls >= labels.size()) labels.resize(cls + std::size_t{1});
    ++labels[cls];
  }
  std::vector<std::size_t> slot(labels.size());  // of a class in result.classes
  for (std::size_t cls = 0; cls < labels.size(); ++cls) {
    slot[cls] = result.classes.size();
    if (labels[cls] > 0) result.classes.push_back({.cls = static_cast<int>(cls), .labels = labels[cls]});
  }
  const bool any_hit = std::any_of(matches.detections.begin(), matches.detections.end(),
                                   [](const MatchedDetection& detection) { return detection.correct != 0; });
  if (!any_hit) return result;

  std::vector<std::vector<Ranked>> ranked(result.classes.size());
  for (std::size_t i = 0; i < matches.detections.size(); ++i) {
    const MatchedDetection& d = matches.detections[i];
    if (d.cls >= labels.size() || labels[d.cls] == 0) continue;
    ranked[slot[d.cls]].push_back({std::uint64_t{descending_bits(d.score)} << 32 | i, d.correct});
  }
  curves.resize(result.classes.size());
  parallel_for(curves.size(), threads, [&](std::size_t c) { curves[c] = score_class(ranked[c], result.classes[c]); });

  result.best_f1_index = best_smoothed_f1(curves);
  const auto best = static_cast<std::size_t>(result.best_f1_index);
  for (std::size_t c = 0; c < curves.size(); ++c) {
    ClassAveragePrecision& out = result.classes[c];
    out.precision = curves[c].precision[best];
    out.recall = curves[c].recall[best];
    out.f1 = curves[c].f1[best];
    out.true_positives = std::nearbyint(out.recall * static_cast<double>(out.labels));
    out.false_positives = std::nearbyint(out.true_positives / (out.precision + kEpsilon) - out.true_positives);
  }
  take_means(result);
  return result;
}

}  // namespace valbench
