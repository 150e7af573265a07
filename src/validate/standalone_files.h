/// \file
/// The files of a stand-alone validation: metrics.json, curves and confusion matrix as CSV, detections as text and COCO JSON.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/yolo_dataset.h"
#include "validate/coco_score.h"
#include "validate/standalone.h"

namespace valbench {

/// metrics.json: counts, precision, recall, map50, map50_95, the same per class by name, COCO's numbers where they
/// were computed, seconds per stage, settings, versions.
std::string metrics_to_json(const StandaloneResult& result, const ValSpec& spec, const MachineRecord& machine,
                            const std::vector<std::string>& warnings, const std::optional<CocoScore>& coco = {});

/// Number of every class's row in `names`, made unique: a second class of the same name becomes `NAME (2)`, by its index.
std::vector<std::string> unique_class_names(const std::vector<std::string>& names);

/// P_curve.csv, R_curve.csv, F1_curve.csv (over confidence) and PR_curve.csv (over recall): a column per class that has labels, then all
/// classes. Writes none where no detection is right. Then confusion_matrix.csv: rows predicted, columns true, the last of both background.
void write_curve_files(const StandaloneResult& result, const std::filesystem::path& folder);

/// labels/STEM.txt, one line per detection: class, centre box normalised to the image, with `confidence` the score; `%g`. Images without
/// detections get no file.
void write_detection_texts(const StandaloneResult& result, const YoloDataset& dataset, bool confidence,
                           const std::filesystem::path& folder);

/// COCO's list of detections: image_id (a number where the file's stem is one), category_id, bbox from the top left corner, score.
/// \param coco_ids COCO's 91 category numbers in place of the 80 class indices.
std::string coco_predictions(const StandaloneResult& result, const YoloDataset& dataset, bool coco_ids);

/// YOLOv5's sign of COCO: the validation split is coco/val2017.txt.
bool is_coco(const DataConfig& data);

/// Everything that the spec asks for, metrics.json last. Rank 0 only.
void write_standalone_files(const StandaloneResult& result, const ValSpec& spec, const YoloDataset& dataset, const DataConfig& data,
                            const MachineRecord& machine, const std::vector<std::string>& warnings);

}  // namespace valbench
