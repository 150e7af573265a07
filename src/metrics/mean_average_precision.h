/// \file
/// YOLOv5's precision, recall, mAP50 and mAP50-95 (reference yolov5.md §6.8).
#pragma once
#include <array>
#include <vector>

#include "metrics/detection.h"

namespace valbench {

/// One class that has labels.
struct ClassAveragePrecision {
  int cls = 0;
  std::int64_t labels = 0;
  double true_positives = 0, false_positives = 0;     ///< At the best-F1 confidence, IoU .5.
  double precision = 0, recall = 0, f1 = 0;
  std::array<double, kIouThresholds> ap{};
  double map50() const { return ap[0]; }
  double map50_95() const;  ///< Mean over the ten thresholds.
};

/// Means over the classes that have labels; all 0 when there is no true positive (v7.0).
struct MeanAveragePrecision {
  double precision = 0, recall = 0, map50 = 0, map50_95 = 0;
  int best_f1_index = 0;  ///< Of the 1000 confidences.
  std::vector<ClassAveragePrecision> classes;  ///< Ascending; only classes with labels.
};

inline constexpr int kCurvePoints = 1000;
using MetricCurve = std::array<double, kCurvePoints>;

/// Curves of one class at IoU .5. Precision, recall and F1 over kCurvePoints confidences from 0 to 1; the envelope of precision over as
/// many recalls from 0 to 1 (YOLOv5's PR curve).
struct ClassCurves {
  MetricCurve precision{}, recall{}, f1{}, precision_at_recall{};
};

/// Scores a merged set. Stable in ties: image order, then detection order. Equal bits for any number of threads.
MeanAveragePrecision mean_average_precision(const MatchSet& matches, int threads = 1);

/// The same, and the curves of every class of the result; they stay empty where there is no true positive.
MeanAveragePrecision mean_average_precision(const MatchSet& matches, int threads, std::vector<ClassCurves>& curves);

}  // namespace valbench
