/// \file
/// The checkpoint files of a run's `weights` folder, written while the ranks wait: as fast as memory, not as the disk.
#pragma once
#include <filesystem>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "detect/weights/safetensors.h"

namespace valbench {

/// Writes by rename; what write() returned from outlives the process. A thread takes the files to the disk, where they outlive the machine,
/// while the training goes on: with yolov5x that is 1.2 GB an epoch, for which all ranks would wait.
class CheckpointFiles {
 public:
  explicit CheckpointFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Leaves `content` as NAME.safetensors under every name, as hard links to one file where the file system has them. Waits until the files
  /// before are on the disk. Throws RecordError, also for those.
  void write(const std::vector<std::string>& names, const SafetensorsFile& content);
  /// Waits for the last ones. Throws RecordError.
  void finish();

 private:
  std::filesystem::path file_of(const std::string& name) const { return folder_ / (name + ".safetensors"); }
  bool link(const std::filesystem::path& file, const std::filesystem::path& other) const;

  std::filesystem::path folder_;
  std::future<void> synced_;  // From std::async: its destructor waits.
};

}  // namespace valbench
