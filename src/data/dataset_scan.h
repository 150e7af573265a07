/// \file
/// The scan of a data set's images and label files, and its cache.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/yolo_dataset.h"

namespace valbench {

/// What the scan of one image found.
struct ScannedImage {
  std::optional<ImageEntry> entry;  ///< Nothing: the image is left out, and `warning` says why.
  std::string warning;
  bool label_file = false;
};

/// Checks image and label file of every path, on several threads.
std::vector<ScannedImage> scan_images(const std::vector<std::filesystem::path>& files, int threads);

/// The same, from the cache in `folder` where it is not stale; else scanned and written there. A cache that cannot be
/// written is a warning, damaged and foreign ones are made anew.
std::vector<ScannedImage> scan_images_cached(const std::vector<std::filesystem::path>& files, int threads,
                                             const std::filesystem::path& folder, std::vector<std::string>& warnings);

/// The cache file of a list of images in a cache folder.
std::filesystem::path label_cache_file(const std::filesystem::path& folder,
                                       const std::vector<std::filesystem::path>& files);

/// Changes with the size or time of any image or label file.
std::uint64_t scan_stamp(const std::vector<std::filesystem::path>& files, int threads);

/// A scan as bytes, and back; nothing when the bytes are damaged, of another version, or of another stamp.
std::string label_cache_bytes(const std::vector<ScannedImage>& scanned, std::uint64_t stamp);
std::optional<std::vector<ScannedImage>> parse_label_cache(std::string_view bytes, std::uint64_t stamp,
                                                           const std::vector<std::filesystem::path>& files);

}  // namespace valbench
