/// \file
/// YOLOv5's run folders: runs/train/exp, exp2, exp3 … (reference yolov5.md §8.3).
#pragma once
#include <filesystem>
#include <string>

namespace valbench {

/// A run folder that did not exist before, with what had to be made for it.
struct NewFolder {
  std::filesystem::path path;
  std::filesystem::path made_from;  ///< The outermost folder that was made; empty when `path` was there already.

  /// Takes away the folder with everything in it and the empty folders above it that were made for it. Does nothing to a folder that was
  /// there before.
  void remove() const;
};

/// Makes `project`/`name`, or the first of `name`2, `name`3 … that is free; with `exist_ok` the first as it is. Throws InputError when it
/// cannot be made.
NewFolder increment_path(const std::filesystem::path& project, const std::string& name, bool exist_ok);

}  // namespace valbench
