/// \file
/// COCO's twelve numbers of a stand-alone validation with --save-json, from the JSON files that it writes: what
/// pycocotools says of the same files.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "data/yolo_dataset.h"
#include "metrics/coco_average_precision.h"

namespace valbench {

/// The numbers, or why there are none.
struct CocoScore {
  CocoAveragePrecision numbers;
  std::filesystem::path ground_truth;  ///< COCO's own annotations, or coco_ground_truth.json in the folder.
  std::string reason;                  ///< Empty = measured.
};

/// COCO's category number of a class: the index itself, or with `coco_ids` one of the 91 of COCO's 80 classes.
int coco_category(int cls, bool coco_ids);

/// How COCO's files call an image: a number where the file's stem is one, else the stem.
nlohmann::ordered_json coco_image_id(const std::filesystem::path& image);

/// The labels of a split as a COCO file: boxes in pixels, area = width * height, no crowds.
std::string coco_ground_truth(const YoloDataset& dataset, bool coco_ids);

/// Where COCO's annotations lie beside its val2017.txt; nothing where they are not there, or where the data are not COCO.
std::optional<std::filesystem::path> coco_annotations(const DataConfig& data);

/// Scores `predictions` against COCO's annotations, without them against the labels, which are written into `folder`.
/// Never throws for what lies in the files: two images of one stem, for instance, have no COCO numbers.
CocoScore score_coco(const std::filesystem::path& predictions, const YoloDataset& dataset, const DataConfig& data,
                     const std::filesystem::path& folder, int threads);

/// For metrics.json: ap, ap50, … ar_large by name with null for what no label stands for, or the reason.
nlohmann::ordered_json coco_score_to_json(const CocoScore& score);

}  // namespace valbench
