/// \file
/// Decoded and resized images of a data set, kept in memory as far as that reaches.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "data/pixel_files.h"
#include "data/yolo_dataset.h"
#include "scenario/run_spec.h"

namespace valbench {

/// Bytes of memory that this process may still take: what the machine has free, or its control group if that is less.
std::int64_t available_memory_bytes();

/// What to decode, at which size, and how much of it to keep.
struct ResizedImagesOptions {
  int imgsz = 640;
  bool augment = true;             ///< Bilinear also when shrinking.
  bool keep = true;                ///< Keep images in memory after first use.
  std::int64_t budget_bytes = 0;   ///< At most this much is kept.
  std::vector<std::int64_t> used;  ///< Images that will be asked for; empty = all.
  Compat compat = Compat::v7_0;
  std::filesystem::path disk_folder;  ///< Keep them there instead, for later runs too; empty = no.
};

/// Gives resized images by index. Thread-safe. The pixels may be shared: never write into them.
class ResizedImages {
 public:
  ResizedImages(std::shared_ptr<const YoloDataset> dataset, const ResizedImagesOptions& options);
  /// Image `index`, its longer side `imgsz`. Throws InputError that names the file.
  cv::Mat image(std::int64_t index) const;
  /// Its size, without decoding it.
  cv::Size size(std::int64_t index) const;
  /// The part `region` of it. Where images are not kept and keep their size, no more of a JPEG is decoded.
  cv::Mat part(std::int64_t index, const cv::Rect& region) const;
  const YoloDataset& dataset() const { return *dataset_; }
  int imgsz() const { return options_.imgsz; }
  bool augment() const { return options_.augment; }
  Compat compat() const { return options_.compat; }
  /// A sentence when the images do not all fit into the budget.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  cv::Mat decoded(std::int64_t index) const;
  std::string disk_key(const ImageEntry& entry) const;
  void prepare_disk();
  void prepare_memory();

  std::shared_ptr<const YoloDataset> dataset_;
  ResizedImagesOptions options_;
  std::vector<std::string> warnings_;
  std::unique_ptr<PixelFiles> disk_;
  mutable std::mutex mutex_;
  mutable std::int64_t kept_bytes_ = 0;
  mutable std::vector<cv::Mat> kept_;
};

}  // namespace valbench
