/// \file
/// Decoded, resized images in files of valbench's own cache folder (`cache: disk`).
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

namespace valbench {

/// Images by key. Several processes may share the folder: files appear whole, by rename, and a file that another
/// process has removed, or that is damaged, is one that is not there. Thread-safe.
class PixelFiles {
 public:
  /// What an image of the data set takes.
  struct Wanted {
    std::string key;
    std::int64_t bytes = 0;
  };

  /// Makes the folder (Throws RecordError) and removes the files longest unused where those that are wanted would not
  /// fit beside them: all files together take at most `budget_bytes`.
  PixelFiles(std::filesystem::path folder, std::int64_t budget_bytes, const std::vector<Wanted>& wanted);
  /// The image; empty when it is not there.
  cv::Mat read(const std::string& key) const;
  /// Keeps an image unless the budget or the free space of the disk (1 GiB stays) would be exceeded.
  void write(const std::string& key, const cv::Mat& image) const;
  std::int64_t bytes() const { return bytes_; }

 private:
  std::filesystem::path file_of(const std::string& key) const { return folder_ / key; }

  std::filesystem::path folder_;
  std::int64_t budget_bytes_;
  mutable std::atomic<std::int64_t> bytes_{0};
  mutable std::atomic<std::uint64_t> temporary_{0};
};

/// Half of what is free on the disk of a folder, files of the cache in it counted as free.
std::int64_t disk_budget_bytes(const std::filesystem::path& folder);

}  // namespace valbench
