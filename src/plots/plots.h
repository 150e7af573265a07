/// \file
/// The pictures of a run as PNG files: curves, confusion matrix, results over epochs, labels, batches with boxes.
/// Equal data give equal bytes. All functions write by rename, throw InputError for data that cannot be drawn (with the
/// value) and RecordError when the file cannot be written.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "metrics/confusion_matrix.h"

namespace valbench {

/// A named line; y belongs to the x values of the plot. NaN is a gap: nothing was measured there.
struct Curve {
  std::string label;
  std::vector<double> y;
};

/// Curves over [0, 1] x [0, 1]: PR_curve, F1_curve, P_curve, R_curve.
struct CurvesPlot {
  std::string title, x_label, y_label;
  std::vector<double> x;       ///< Ascending; common to all curves.
  std::vector<Curve> classes;  ///< Thin lines; named in the legend while there are at most 20 of them.
  Curve mean;                  ///< The bold line over all classes; its label says the number that matters.
};
void write_curves_png(const std::filesystem::path& file, const CurvesPlot& plot);

/// A heat map of the counts divided by their column's sum (all labels of a class are 1), with the background as last
/// row and column. Numbers are written into the cells while there is room. `names` are the classes', one each.
void write_confusion_matrix_png(const std::filesystem::path& file, const ConfusionMatrix& matrix,
                                const std::vector<std::string>& names);

/// Columns over epochs, one panel each.
struct ResultsPlot {
  std::vector<double> epochs;
  std::vector<Curve> columns;  ///< Drawn in this order, five in a row.
};
/// The ten losses and metrics of a results.csv in YOLOv5's columns (reference yolov5.md §8.3), in the order of the
/// panels: training losses, precision, recall; validation losses, mAP50, mAP50-95. Throws InputError that names file
/// and line.
ResultsPlot read_results_csv(const std::filesystem::path& file);
void write_results_png(const std::filesystem::path& file, const ResultsPlot& plot);

/// A label as in YOLO files: centre and size, normalised.
struct LabelBox {
  int cls;
  float x, y, w, h;
};
/// Four panels: labels per class, boxes around one centre, density of the centres, density of the sizes.
void write_labels_png(const std::filesystem::path& file, std::span<const LabelBox> labels,
                      const std::vector<std::string>& names);

/// A box in pixels of its image. A score below 0 says that it is a label.
struct BatchBox {
  float x1, y1, x2, y2;
  int cls;
  float score = -1;
};
/// One picture of a batch; the pixels are owned elsewhere.
struct BatchImage {
  int height = 0, width = 0;
  std::span<const std::uint8_t> rgb;  ///< 3 * height * width bytes.
  bool planar = false;                ///< True: three planes (CHW, as in a batch tensor); false: interleaved (HWC).
  std::string name;                   ///< Written into the corner; may be empty.
  std::vector<BatchBox> boxes;
};
inline constexpr std::size_t kMaxBatchImages = 16;  ///< More are left out.
/// train_batch, val_batch_labels, val_batch_pred: the images in a square grid with their boxes, at most 1920 px a side;
/// small ones enlarged.
void write_batch_png(const std::filesystem::path& file, std::span<const BatchImage> images,
                     const std::vector<std::string>& names);

}  // namespace valbench
