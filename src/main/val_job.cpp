#include "main/val_job.h"

#include <fmt/format.h>

#include "train/machine.h"
#include "train/rank_agreement.h"
#include "validate/standalone_files.h"
#include "validate/standalone_plots.h"
#include "validate/weights_model.h"

namespace valbench {
namespace {

Split split_of(ValTask task) {
  return task == ValTask::train ? Split::train : task == ValTask::test ? Split::test : Split::val;
}

/// What the user should know about the numbers.
std::vector<std::string> warnings_of(const ValSpec& spec, const YoloDataset& dataset, const DetectionModel& model,
                                     const StandaloneResult& result) {
  std::vector<std::string> all = dataset.warnings;
  const int stride = size_multiple(model);
  if (spec.imgsz % stride != 0) {
    all.push_back(fmt::format("imgsz {} is not a multiple of {}: images are scaled to {}", spec.imgsz, stride,
                              (spec.imgsz + stride - 1) / stride * stride));
  }
  if (spec.task != ValTask::speed && spec.conf_thres > 0.001) {
    all.push_back(fmt::format("conf-thres {} is above 0.001: mAP leaves out what lies below it", spec.conf_thres));
  }
  if (result.candidate_limit_hits > 0) {
    all.push_back(fmt::format("{} images had more NMS candidates than its limit; the weakest were left out", result.candidate_limit_hits));
  }
  return all;
}

}  // namespace

void run_val_job(const ValSpec& spec, Communicator& communicator, c10::Device device,
                 std::function<void(std::int64_t batch, std::int64_t batches)> progress) {
  const DataConfig data = read_data_config(spec.data);
  const WeightsModel loaded = load_weights_model(spec.weights);
  auto scanned = std::make_shared<YoloDataset>(load_yolo_dataset(data, split_of(spec.task), std::max(1, spec.workers), {.single_cls = spec.single_cls}));
  agree_on_data(communicator, nullptr, scanned.get());
  check_classes(spec, *loaded.model, *scanned);
  if (!spec.single_cls && loaded.names.size() == scanned->names.size()) scanned->names = loaded.names;
  prepare_for_validation(*loaded.model, spec.half, device);
  const auto result = validate_standalone({spec, communicator, scanned, *loaded.model, device, std::move(progress)});
  if (result) {
    std::vector<std::string> warnings = warnings_of(spec, *scanned, *loaded.model, *result);
    const auto undrawn = write_standalone_pictures(*result, spec, scanned, standalone_plan(spec, *scanned, *loaded.model));
    warnings.insert(warnings.end(), undrawn.begin(), undrawn.end());
    write_standalone_files(*result, spec, *scanned, data, describe_machine(device), warnings);
  }
  communicator.barrier();  // No rank leaves while rank 0 still writes: a closed store would look like a dead rank.
}

}  // namespace valbench
