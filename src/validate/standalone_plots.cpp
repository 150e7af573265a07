#include "validate/standalone_plots.h"

#include <fmt/format.h>

#include <algorithm>

#include "plots/plots.h"
#include "validate/batch_pictures.h"

namespace valbench {
namespace {

/// One picture of curves: which ones, and what its legend says of the mean.
struct CurvePicture {
  const char* file;
  const char *title, *x_label, *y_label;
  MetricCurve ClassCurves::* curve;
};
constexpr CurvePicture kPrecisionRecall = {"PR_curve.png", "Precision over recall", "Recall", "Precision",
                                           &ClassCurves::precision_at_recall};
constexpr CurvePicture kF1 = {"F1_curve.png", "F1 over confidence", "Confidence", "F1", &ClassCurves::f1};
constexpr CurvePicture kPrecision = {"P_curve.png", "Precision over confidence", "Confidence", "Precision",
                                     &ClassCurves::precision};
constexpr CurvePicture kRecall = {"R_curve.png", "Recall over confidence", "Confidence", "Recall", &ClassCurves::recall};

double position(std::size_t point) { return static_cast<double>(point) / (kCurvePoints - 1); }

CurvesPlot plot_of(const CurvePicture& picture, const StandaloneResult& result) {
  CurvesPlot plot{picture.title, picture.x_label, picture.y_label, {}, {}, {"all classes", std::vector<double>(kCurvePoints)}};
  for (std::size_t i = 0; i < kCurvePoints; ++i) plot.x.push_back(position(i));
  for (std::size_t c = 0; c < result.curves.size(); ++c) {
    const MetricCurve& curve = result.curves[c].*picture.curve;
    const ClassRecord& record = result.metrics.classes[c];
    plot.classes.push_back({result.names.at(static_cast<std::size_t>(record.cls)), {curve.begin(), curve.end()}});
    for (std::size_t i = 0; i < kCurvePoints; ++i) plot.mean.y[i] += curve[i] / static_cast<double>(result.curves.size());
  }
  return plot;
}

/// `all classes 0.85 at 0.412`: where the mean is highest.
std::string highest(const std::vector<double>& mean) {
  const auto best = std::max_element(mean.begin(), mean.end());
  return fmt::format("all classes {:.2f} at {:.3f}", *best, position(static_cast<std::size_t>(best - mean.begin())));
}

CurvesPlot labelled_plot(const CurvePicture& picture, const StandaloneResult& result) {
  CurvesPlot plot = plot_of(picture, result);
  if (picture.curve != kPrecisionRecall.curve) {
    plot.mean.label = highest(plot.mean.y);
    return plot;
  }
  plot.mean.label = fmt::format("all classes {:.3f} mAP50", result.metrics.map50);
  for (std::size_t c = 0; c < plot.classes.size(); ++c) plot.classes[c].label += fmt::format(" {:.3f}", result.metrics.classes[c].map50);
  return plot;
}

}  // namespace

void write_curve_pictures(const StandaloneResult& result, const std::filesystem::path& folder, std::vector<std::string>& warnings) {
  for (const CurvePicture& picture : {kPrecisionRecall, kF1, kPrecision, kRecall}) {
    if (result.curves.empty()) break;
    draw_or_warn(picture.file, warnings, [&] { write_curves_png(folder / picture.file, labelled_plot(picture, result)); });
  }
  draw_or_warn("confusion_matrix.png", warnings, [&] {
    write_confusion_matrix_png(folder / "confusion_matrix.png", result.confusion, result.names);
  });
}

std::vector<std::string> write_standalone_pictures(const StandaloneResult& result, const ValSpec& spec,
                                                   const std::shared_ptr<const YoloDataset>& dataset,
                                                   const std::vector<BatchPlan>& plan) {
  std::vector<std::string> warnings;
  if (!spec.plots) return warnings;
  write_curve_pictures(result, spec.folder, warnings);
  write_val_batches(result.detections, result.names, dataset, plan, spec.workers, spec.folder, warnings);
  return warnings;
}

}  // namespace valbench
