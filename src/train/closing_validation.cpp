#include "train/closing_validation.h"

#include <algorithm>
#include <span>

#include "base/cache_folder.h"
#include "base/path_kind.h"
#include "data/yolo_dataset.h"
#include "detect/weights/model_weights.h"
#include "validate/standalone_files.h"
#include "validate/standalone_plots.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

/// YOLOv5's own thresholds of this validation: COCO's detections are suppressed later, and written for pycocotools.
ValSpec settled_spec(const ValSpec& given, const fs::path& weights, bool coco) {
  ValSpec spec = given;
  spec.weights = weights;
  if (coco) {
    spec.iou_thres = 0.65;
    spec.save_json = true;
  }
  return spec;
}

std::shared_ptr<const YoloDataset> dataset_of(const ClosingContext& context, const DataConfig& data) {
  if (context.dataset) return context.dataset;
  const ScanOptions scan{user_cache_folder(), context.spec.single_cls};
  return std::make_shared<YoloDataset>(load_yolo_dataset(data, Split::val, std::max(1, context.spec.workers), scan));
}

/// What rank 0 finds, after its last checkpoint, on every rank; empty where there is nothing to validate.
fs::path shared_weights(const ClosingContext& context) {
  std::string text;
  if (context.communicator.rank() == 0 && context.wanted) text = closing_weights(context.spec.folder).value_or(fs::path()).string();
  const auto bytes = context.communicator.broadcast_bytes(std::as_bytes(std::span(text)), 0);
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

std::optional<fs::path> closing_weights(const fs::path& folder) {
  for (const char* name : {"best.pt", "best.safetensors", "last.pt", "last.safetensors"}) {
    if (const fs::path file = folder / "weights" / name; path_exists(file)) return file;
  }
  return std::nullopt;
}

std::vector<std::string> run_closing_validation(const ClosingContext& context) {
  Communicator& communicator = context.communicator;
  const fs::path weights = shared_weights(context);
  if (weights.empty()) return {};
  const DataConfig data = read_data_config(context.spec.data);
  const ValSpec spec = settled_spec(context.spec, weights, is_coco(data));
  const auto dataset = dataset_of(context, data);
  const std::unique_ptr<DetectionModel> model = context.trained.clone();
  load_model_weights(weights, {.ema = true, .whole = true}, *model);
  prepare_for_validation(*model, spec.half, context.device);
  const auto result = validate_standalone({spec, communicator, dataset, *model, context.device, context.progress});
  if (!result) return {};
  std::vector<std::string> warnings = write_standalone_pictures(*result, spec, dataset, standalone_plan(spec, *dataset, *model));
  write_standalone_files(*result, spec, *dataset, data, context.machine, warnings);
  return warnings;
}

}  // namespace valbench
