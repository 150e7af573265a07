/// \file
/// A YOLO-format data set: data.yaml, images and label files (reference yolov5.md §5.1-5.3).
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace valbench {

/// A label row: class and centre box normalised to the image.
struct LabelRow {
  float cls, x, y, w, h;
};

/// A corner of a polygon, normalised to the image.
struct PolygonPoint {
  float x, y;
};
using Polygon = std::vector<PolygonPoint>;

/// An image that takes part, with its labels.
struct ImageEntry {
  std::filesystem::path file;
  int height = 0, width = 0;  ///< As decoded.
  std::vector<LabelRow> labels;
  std::vector<Polygon> polygons;  ///< Of each label, where the label file holds polygons; else empty.
};

/// The data.yaml: names and where the splits are.
struct DataConfig {
  std::filesystem::path file;
  std::vector<std::string> names;
  std::vector<std::filesystem::path> train, val, test;
};
/// Parses and checks data.yaml; relative paths are relative to its `path` key, itself relative to the file's folder
/// (YOLOv5: to its repository's root).
/// Throws ScenarioError (file, line, key, fix).
DataConfig read_data_config(const std::filesystem::path& file);

/// One split, scanned and verified.
class YoloDataset {
 public:
  std::vector<ImageEntry> images;  ///< Lexicographic by path.
  int classes = 0;
  std::vector<std::string> names;
  std::int64_t labels = 0;            ///< Over all images.
  std::int64_t backgrounds = 0;       ///< Images without labels (missing or empty file).
  std::int64_t left_out = 0;          ///< Images that cannot be used: undecodable, too small, or with an invalid label.
  std::vector<std::string> warnings;  ///< One sentence each: images left out, truncated JPEGs, duplicate rows.
};

enum class Split { train, val, test };
/// How a split is scanned.
struct ScanOptions {
  std::filesystem::path cache_folder;  ///< Where the scan's result is kept for the next one (labels/); empty = nowhere.
  bool single_cls = false;             ///< All labels become class 0, of which "item" is the name.
};

/// Scans a split with several threads, or takes the result of an earlier scan from the cache when no image and no
/// label file has changed since (by size and time). Nothing is ever written beside the user's images. Throws
/// InputError: no images, no labels at all in a training split, class out of range (any split, since metrics index by
/// class; file and line named). A label file with an invalid row leaves its image out, an undecodable image is left
/// out: both are counted in warnings.
YoloDataset load_yolo_dataset(const DataConfig& config, Split split, int threads, const ScanOptions& options = {});

}  // namespace valbench
