#include "validate/coco_score.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/path_kind.h"
#include "metrics/coco_json.h"
#include "validate/standalone_files.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::array<const char*, 12> kNames = {"ap",  "ap50", "ap75",  "ap_small", "ap_medium", "ap_large",
                                                "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"};
constexpr const char* kGroundTruthFile = "coco_ground_truth.json";

}  // namespace

int coco_category(int cls, bool coco_ids) {
  // Ten numbers of the 91 are of classes that no image shows.
  constexpr int kMissing[] = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83};
  if (!coco_ids) return cls;
  int category = cls + 1;
  for (const int missing : kMissing) category += category >= missing ? 1 : 0;
  return category;
}

ordered_json coco_image_id(const fs::path& image) {
  const std::string stem = image.stem().string();
  const bool number = !stem.empty() && stem.size() < 19 && stem.find_first_not_of("0123456789") == std::string::npos;
  return number ? ordered_json(std::stoll(stem)) : ordered_json(stem);
}

std::string coco_ground_truth(const YoloDataset& dataset, bool coco_ids) {
  ordered_json images = ordered_json::array(), annotations = ordered_json::array(), categories = ordered_json::array();
  for (const ImageEntry& image : dataset.images) {
    const ordered_json id = coco_image_id(image.file);
    images.push_back({{"id", id}, {"file_name", image.file.filename().string()}, {"width", image.width}, {"height", image.height}});
    for (const LabelRow& label : image.labels) {
      const double w = static_cast<double>(label.w) * image.width, h = static_cast<double>(label.h) * image.height;
      const double x = static_cast<double>(label.x) * image.width - w / 2, y = static_cast<double>(label.y) * image.height - h / 2;
      annotations.push_back({{"id", annotations.size() + 1},
                             {"image_id", id},
                             {"category_id", coco_category(static_cast<int>(label.cls), coco_ids)},
                             {"bbox", {x, y, w, h}},
                             {"area", w * h},
                             {"iscrowd", 0}});
    }
  }
  for (int cls = 0; cls < dataset.classes; ++cls) {
    categories.push_back({{"id", coco_category(cls, coco_ids)}, {"name", dataset.names.at(static_cast<std::size_t>(cls))}});
  }
  const ordered_json all{{"images", images}, {"annotations", annotations}, {"categories", categories}};
  return all.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::optional<fs::path> coco_annotations(const DataConfig& data) {
  if (!is_coco(data)) return std::nullopt;
  const fs::path file = data.val.front().parent_path() / "annotations/instances_val2017.json";
  return path_exists(file) ? std::optional(file) : std::nullopt;
}

CocoScore score_coco(const fs::path& predictions, const YoloDataset& dataset, const DataConfig& data, const fs::path& folder, int threads) {
  CocoScore score;
  if (const auto annotations = coco_annotations(data)) {
    score.ground_truth = *annotations;
  } else {
    score.ground_truth = kGroundTruthFile;
    write_atomically(folder / score.ground_truth, coco_ground_truth(dataset, is_coco(data)));
  }
  try {
    score.numbers = coco_average_precision(read_coco_set(folder / score.ground_truth, predictions), threads);
  } catch (const InputError& error) {
    score.reason = std::string("not measured (") + error.what() + ")";
  }
  return score;
}

ordered_json coco_score_to_json(const CocoScore& score) {
  ordered_json json{{"ground_truth", score.ground_truth.string()}};
  if (!score.reason.empty()) {
    json["reason"] = score.reason;
    return json;
  }
  const std::array<double, 12> numbers = score.numbers.numbers();
  for (std::size_t i = 0; i < numbers.size(); ++i) json[kNames[i]] = numbers[i] < 0 ? ordered_json(nullptr) : ordered_json(numbers[i]);
  return json;
}

}  // namespace valbench
