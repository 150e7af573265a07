/// \file
/// The folder of one training, runs/train/exp: made, or taken up again, and held by one training at a time.
#pragma once
#include <filesystem>

#include "base/subprocess.h"

namespace valbench {

/// How a training comes by its folder.
enum class FolderChoice {
  increment,  ///< PROJECT/NAME, or the first of NAME2, NAME3, … that is not there.
  exist_ok,   ///< PROJECT/NAME, whatever lies in it: results and checkpoints of a training there are replaced.
  resume      ///< A training's folder, to go on in it.
};

/// Throws InputError when the folder or what it is to be made in cannot be written. Writes nothing.
void check_train_folder(const std::filesystem::path& wanted);

/// Throws InputError where a training in `wanted` under FolderChoice::exist_ok would remove the `weights` that it is to begin from.
void check_not_replaced(const std::filesystem::path& wanted, const std::filesystem::path& weights);

/// Makes the folder and holds its lock for as long as it lives.
class TrainFolder {
 public:
  /// Throws InputError when another training holds the lock, or as check_train_folder().
  TrainFolder(const std::filesystem::path& wanted, FolderChoice choice);
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  OwnedFd lock_;
};

/// The newest weights/last.* below `project`, by the time of its last change. Throws InputError when there is none.
std::filesystem::path newest_checkpoint(const std::filesystem::path& project);

}  // namespace valbench
