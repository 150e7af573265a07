#include "data/yolo_dataset.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/path_kind.h"
#include "data/dataset_scan.h"
#include "data/image_file.h"
#include "data/label_file.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

const char* split_name(Split split) { return split == Split::train ? "train" : split == Split::val ? "val" : "test"; }

void list_folder(const fs::path& folder, std::vector<fs::path>& files) {
  constexpr auto kOptions = fs::directory_options::follow_directory_symlink;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, kOptions)) {
    if (image_extension(entry.path()) && entry.is_regular_file()) files.push_back(entry.path());
  }
}

void list_text_file(const fs::path& list, std::vector<fs::path>& files) {
  std::ifstream in(list);
  for (std::string line; std::getline(in, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty() && image_extension(line)) files.push_back((list.parent_path() / line).lexically_normal());
  }
}

// A list may name an image more than once: it then takes part more than once, as in YOLOv5.
std::vector<fs::path> list_images(const DataConfig& config, Split split) {
  const std::vector<fs::path>& sources = split == Split::train ? config.train
                                         : split == Split::val ? config.val
                                                               : config.test;
  const std::string where = config.file.string() + ": " + split_name(split) + ": ";
  if (sources.empty()) throw InputError(where + "not given. Add it with a folder of images or a .txt list of images");
  std::vector<fs::path> files;
  std::string tried;
  for (const fs::path& source : sources) {
    if (std::error_code refused; fs::is_directory(source, refused)) {
      list_folder(source, files);
    } else if (is_file(source)) {
      list_text_file(source, files);
    } else {
      throw InputError(where + source.string() + " does not exist. Give a folder of images or a .txt list of images");
    }
    tried += (tried.empty() ? "" : ", ") + source.string();
  }
  if (files.empty()) throw InputError(where + "no images in " + tried + ". Expected .jpg, .png, .bmp, .tif or .webp files");
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return files;
}

// Classes are judged after the scan, whose result does not depend on data.yaml.
void check_classes(const ImageEntry& entry, int classes) {
  for (const LabelRow& row : entry.labels) {
    if (row.cls < static_cast<float>(classes)) continue;
    const fs::path file = label_path(entry.file);
    const LabelFile labels = read_label_file(file);
    int line = 0;
    for (std::size_t i = 0; i < labels.rows.size() && line == 0; ++i) {
      if (labels.rows[i].cls == row.cls) line = labels.lines[i];
    }
    throw InputError(file.string() + ":" + std::to_string(line) + ": class " +
                     std::to_string(static_cast<long long>(row.cls)) + " is out of range: data.yaml names " +
                     std::to_string(classes) + " classes (0.." + std::to_string(classes - 1) +
                     "). Fix the label or add the name");
  }
}

void make_single_class(YoloDataset& dataset) {
  if (dataset.names.size() != 1) dataset.names = {"item"};
  dataset.classes = 1;
  for (ImageEntry& image : dataset.images) {
    for (LabelRow& row : image.labels) row.cls = 0;
  }
}

}  // namespace

YoloDataset load_yolo_dataset(const DataConfig& config, Split split, int threads, const ScanOptions& options) {
  const std::vector<fs::path> files = list_images(config, split);
  YoloDataset dataset;
  dataset.names = config.names;
  dataset.classes = static_cast<int>(config.names.size());
  bool any_label_file = false;
  for (ScannedImage& scanned :
       scan_images_cached(files, std::max(1, threads), options.cache_folder, dataset.warnings)) {
    if (!scanned.warning.empty()) dataset.warnings.push_back(std::move(scanned.warning));
    any_label_file = any_label_file || scanned.label_file;
    dataset.left_out += scanned.entry ? 0 : 1;
    if (!scanned.entry) continue;
    if (!options.single_cls) check_classes(*scanned.entry, dataset.classes);
    dataset.labels += static_cast<std::int64_t>(scanned.entry->labels.size());
    dataset.backgrounds += scanned.entry->labels.empty() ? 1 : 0;
    dataset.images.push_back(std::move(*scanned.entry));
  }
  const std::string where = config.file.string() + ": " + split_name(split) + ": ";
  if (dataset.images.empty()) {
    throw InputError(where + "none of " + std::to_string(files.size()) + " images can be used; the first: " +
                     (dataset.warnings.empty() ? std::string("unknown") : dataset.warnings.front()));
  }
  if (dataset.labels == 0 && split == Split::train) {
    throw InputError(where + (any_label_file ? "all label files are empty" : "no label files found") +
                     "; the first would be " + label_path(files.front()).string() +
                     ". Training needs at least one label");
  }
  if (options.single_cls) make_single_class(dataset);
  if (dataset.labels == 0) dataset.warnings.push_back(where + "no labels: all metrics will be 0");
  return dataset;
}

}  // namespace valbench
