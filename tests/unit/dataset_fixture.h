/// \file
/// A data set folder with two classes, to which tests add images and label files.
#pragma once
#include <filesystem>
#include <opencv2/core.hpp>
#include <string>

#include "data/image_file.h"
#include "data/yolo_dataset.h"
#include "tests/support/scratch_folder.h"

namespace valbench::test {

/// A picture in which every row and column differs from its neighbours.
inline cv::Mat gradient(int h, int w) {
  cv::Mat image(h, w, CV_8UC3);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      image.at<cv::Vec3b>(y, x) = {static_cast<unsigned char>(x * 255 / w), static_cast<unsigned char>(y * 255 / h),
                                   90};
    }
  }
  return image;
}

struct DatasetFixture {
  ScratchFolder folder;
  std::filesystem::path yaml =
      folder.write("data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog]\n");

  /// A path below the folder whose parent exists.
  std::filesystem::path file(const std::string& name) const {
    const std::filesystem::path file = folder.path() / name;
    std::filesystem::create_directories(file.parent_path());
    return file;
  }
  std::filesystem::path jpeg(const std::string& name, int h = 48, int w = 64) const {
    write_jpeg(file(name), gradient(h, w), 90);
    return file(name);
  }
  void label(const std::string& stem, const std::string& rows) const {
    folder.write("labels/train/" + stem + ".txt", rows);
  }
  YoloDataset load(Split split = Split::train, const ScanOptions& options = {}) const {
    return load_yolo_dataset(read_data_config(yaml), split, 2, options);
  }
};

}  // namespace valbench::test
