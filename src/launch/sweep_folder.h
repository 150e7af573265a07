/// \file
/// The folder of a sweep: held by one sweep at a time, with one folder per run in it.
#pragma once
#include <filesystem>

#include "base/subprocess.h"
#include "scenario/sweep_plan.h"

namespace valbench {

/// Throws InputError when the folder cannot be made or written, or holds complete runs and `resume` is not set. Writes
/// nothing.
void check_sweep_folder(const std::filesystem::path& folder, bool resume);

/// Makes the folder and holds its lock for as long as it lives.
class SweepFolder {
 public:
  /// Throws InputError when another sweep holds the lock, or as check_sweep_folder().
  SweepFolder(const std::filesystem::path& folder, bool resume);

  /// Whether the run is there and was made from an equal spec.
  static bool complete(const RunSpec& spec);
  /// A fresh run folder with spec.json. What an unfinished run left there is removed.
  static void prepare(const RunSpec& spec);

 private:
  OwnedFd lock_;
};

}  // namespace valbench
