#include "data/yolo_dataset.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "base/parallel_for.h"
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
    if (fs::is_directory(source)) {
      list_folder(source, files);
    } else if (fs::is_regular_file(source)) {
      list_text_file(source, files);
    } else {
      throw InputError(where + source.string() + " does not exist. Give a folder of images or a .txt list of images");
    }
    tried += (tried.empty() ? "" : ", ") + source.string();
  }
  if (files.empty()) throw InputError(where + "no images in " + tried + ". Expected .jpg, .jpeg or .png files");
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return files;
}

// What the scan of one image found.
struct Scanned {
  std::optional<ImageEntry> entry;
  std::string warning;
  std::string class_error;
  bool label_file = false;
};

Scanned scan_image(const fs::path& file, int classes) {
  constexpr int kSmallestSide = 10;
  Scanned out;
  if (!decodable_extension(file)) {
    out.warning = file.string() + ": left out: only JPEG and PNG are read. Convert the image";
    return out;
  }
  try {
    const ImageHeader header = read_image_header(file);
    LabelFile labels = read_label_file(label_path(file));
    out.label_file = labels.found;
    if (std::min(header.height, header.width) < kSmallestSide) {
      out.warning = file.string() + ": left out: " + std::to_string(header.width) + "x" +
                    std::to_string(header.height) + " is under 10 pixels on a side";
      return out;
    }
    if (!labels.error.empty()) {
      out.warning = labels.error + ": the image " + file.filename().string() + " is left out";
      return out;
    }
    for (std::size_t i = 0; i < labels.rows.size(); ++i) {
      if (labels.rows[i].cls < static_cast<float>(classes)) continue;
      out.class_error = label_path(file).string() + ":" + std::to_string(labels.lines[i]) + ": class " +
                        std::to_string(static_cast<long long>(labels.rows[i].cls)) +
                        " is out of range: data.yaml names " + std::to_string(classes) + " classes (0.." +
                        std::to_string(classes - 1) + "). Fix the label or add the name";
      return out;
    }
    if (header.truncated) out.warning = file.string() + ": truncated JPEG, decoded as far as it goes";
    if (labels.duplicates > 0) {
      out.warning += (out.warning.empty() ? "" : "; ") + label_path(file).string() + ": " +
                     std::to_string(labels.duplicates) + " duplicate rows removed";
    }
    out.entry = ImageEntry{file, header.height, header.width, std::move(labels.rows)};
  } catch (const Error& error) {
    out.entry.reset();
    out.warning = std::string(error.what()) + " (left out)";
  }
  return out;
}

std::vector<Scanned> scan_images(const std::vector<fs::path>& files, int classes, int threads) {
  std::vector<Scanned> scanned(files.size());
  parallel_for(files.size(), threads, [&](std::size_t i) { scanned[i] = scan_image(files[i], classes); });
  return scanned;
}

}  // namespace

YoloDataset load_yolo_dataset(const DataConfig& config, Split split, int threads) {
  const std::vector<fs::path> files = list_images(config, split);
  YoloDataset dataset;
  dataset.names = config.names;
  dataset.classes = static_cast<int>(config.names.size());
  bool any_label_file = false;
  for (Scanned& scanned : scan_images(files, dataset.classes, std::max(1, threads))) {
    if (!scanned.class_error.empty()) throw InputError(scanned.class_error);
    if (!scanned.warning.empty()) dataset.warnings.push_back(std::move(scanned.warning));
    any_label_file = any_label_file || scanned.label_file;
    if (!scanned.entry) continue;
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
  if (dataset.labels == 0) dataset.warnings.push_back(where + "no labels: all metrics will be 0");
  return dataset;
}

}  // namespace valbench
