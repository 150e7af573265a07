/// \file
/// The checkpoint files of a run's `weights` folder, written while the ranks wait: as fast as memory, not as the disk.
#pragma once
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "detect/weights/safetensors.h"

namespace valbench {

/// Writes by rename; what write() returned from outlives the process. A thread takes the files to the disk, where they outlive the machine,
/// while the training goes on: with yolov5x that is 1.2 GB an epoch, for which all ranks would wait. Until then NAME.safetensors.previous
/// keeps the file that was replaced, where the file system has hard links.
class CheckpointFiles {
 public:
  using Syncer = std::function<void(const std::filesystem::path&)>;

  explicit CheckpointFiles(std::filesystem::path folder, Syncer sync = sync_file) : folder_(std::move(folder)), sync_(std::move(sync)) {}

  /// Leaves `content` as NAME.safetensors under every name, as hard links to one file where that is possible. Waits until the earlier files
  /// of these names are on the disk. Throws RecordError, also for those.
  void write(const std::vector<std::string>& names, const SafetensorsFile& content);
  /// Waits for all files. Throws RecordError.
  void finish();

 private:
  std::filesystem::path file_of(const std::string& name) const { return folder_ / (name + ".safetensors"); }

  std::filesystem::path folder_;
  Syncer sync_;
  std::map<std::string, std::shared_future<void>> synced_;  // By name. From std::async: the last one's destructor waits.
};

}  // namespace valbench
