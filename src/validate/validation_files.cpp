#include "validate/validation_files.h"

#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "validate/standalone_files.h"
#include "validate/standalone_plots.h"

namespace valbench {

ValidationFiles::ValidationFiles(const ValidationContext& context, const ScoringPlan& plan)
    : folder_(context.spec.folder),
      dataset_(context.dataset),
      plan_(plan),
      threads_(score_threads(context.spec)),
      plots_(context.spec.validation.plots && dataset_),
      json_(context.spec.validation.save_json && dataset_) {
  if (json_) coco_ids_ = is_coco(read_data_config(context.spec.data));
}

FoundDetections ValidationFiles::none_yet() const {
  return {.confusion = ConfusionMatrix(plots_ ? dataset_->classes : 0), .detections = {}};
}

Evaluator::DetectionSink ValidationFiles::sink(FoundDetections& found) const {
  if (!plots_ && !json_) return {};
  return [this, &found](std::int64_t image, std::span<const Detection> detections, std::span<const Label> labels) {
    if (plots_) found.confusion.add_image(detections, labels);
    if (json_) found.detections.push_back({image, {detections.begin(), detections.end()}});
  };
}

FoundDetections ValidationFiles::gather(Communicator& communicator, FoundDetections mine) const {
  if (plots_) mine.confusion = gather_confusion(communicator, mine.confusion);
  if (json_) mine.detections = gather_detections(communicator, plan_.batches, mine.detections);
  return mine;
}

ValidationRecord ValidationFiles::summarize(int epoch, const std::string& weights_checksum, const PartialScore& merged,
                                            std::vector<ClassCurves>& curves) const {
  ValidationRecord record = summarize_score(merged, mean_average_precision(merged.matches, threads_, curves));
  record.epoch = epoch;
  record.weights_checksum = weights_checksum;
  record.batch_size = plan_.batch_size;
  record.precision_used = plan_.precision;
  return record;
}

void ValidationFiles::write(const ValidationRecord& record, const std::vector<ClassCurves>& curves, const FoundDetections& found,
                            Tracer& tracer) const {
  if (!plots_ && !json_) return;
  const std::filesystem::path folder = folder_ / "validations" / ("epoch" + std::to_string(record.epoch));
  std::filesystem::create_directories(folder);
  StandaloneResult result;
  result.metrics = record;
  result.names = dataset_->names;
  if (plots_) {
    const ScopedSpan span(tracer, Phase::val_plots, record.epoch);
    result.curves = curves;
    result.confusion = found.confusion;
    std::vector<std::string> warnings;
    write_curve_pictures(result, folder, warnings);
    for (const std::string& warning : warnings) log_warning(warning);
    write_curve_files(result, folder);
  }
  if (json_) {
    const ScopedSpan span(tracer, Phase::val_json, record.epoch);
    result.detections = found.detections;
    write_atomically(folder / "predictions.json", coco_predictions(result, *dataset_, coco_ids_));
  }
}

}  // namespace valbench
