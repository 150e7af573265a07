/// \file
/// One stand-alone validation with every default written out: what `valbench val` hands to the ranks as val-spec.json.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "scenario/enum_names.h"
#include "scenario/run_spec.h"

namespace valbench {

/// Which images are scored, by YOLOv5's names; `speed` scores the validation split at the thresholds of deployment.
enum class ValTask { val, train, test, speed };

template <>
inline constexpr std::array kEnumNames<ValTask> = {
    std::pair{ValTask::val, "val"}, std::pair{ValTask::train, "train"}, std::pair{ValTask::test, "test"},
    std::pair{ValTask::speed, "speed"}};

/// Defaults are those of YOLOv5's val.py (reference yolov5.md §8.2). Paths are absolute.
struct ValSpec {
  int schema_version = 1;
  std::string name = "exp";  ///< Folder name of the run.
  std::filesystem::path weights;
  std::filesystem::path data;  ///< data.yaml of the data set.
  ValTask task = ValTask::val;
  int imgsz = 640;
  int batch_size = 32;
  double conf_thres = 0.001, iou_thres = 0.6;
  int max_det = 300;
  BatchShape shape = BatchShape::rect;
  int ranks = 1;
  DeviceKind device = DeviceKind::cpu;
  std::vector<int> device_ids;  ///< GPU of each rank; empty on CPUs.
  int workers = 8;              ///< Loader threads per rank.
  int torch_threads = 1;        ///< Intra-op threads per rank.
  bool half = false;            ///< fp16 weights and images; GPUs only.
  bool augment = false;         ///< Test-time augmentation (§6.11).
  bool single_cls = false;      ///< All labels and detections are of one class.
  bool verbose = false;         ///< A row for every class, however many there are.
  bool plots = true;            ///< Curves and confusion matrix.
  bool save_txt = false, save_conf = false, save_json = false;
  std::filesystem::path folder;  ///< Run folder; exists, holds val-spec.json.
};

inline constexpr const char* kValSpecFile = "val-spec.json";
inline constexpr const char* kMetricsFile = "metrics.json";  ///< Written last, by rename: the validation is complete.

/// The validation that closes a training: best on the validation split, as YOLOv5's train.py asks for it (§6.1). Weights and
/// what depends on the data are settled by the ranks.
ValSpec closing_val_spec(const RunSpec& run, bool plots);

/// What starting and connecting ranks needs to know, as a RunSpec.
RunSpec rank_layout(const ValSpec& spec);

std::string val_spec_to_json(const ValSpec& spec);
/// Throws RecordError that names the field.
ValSpec val_spec_from_json(const std::string& text);
void write_val_spec(const ValSpec& spec, const std::filesystem::path& file);
/// Throws RecordError that names the file and the field.
ValSpec read_val_spec(const std::filesystem::path& file);

}  // namespace valbench
