#include "launch/train_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "launch/increment_path.h"
#include "launch/rank_process.h"
#include "record/run_store.h"
#include "scenario/val_spec.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void not_writable(const fs::path& folder, const std::string& reason) {
  throw InputError("results folder " + folder.string() + " is not writable: " + reason +
                   ". Choose another one with --project DIR");
}

/// What would make an unfinished training look finished or failed.
void remove_endings(const fs::path& folder) {
  std::error_code ignored;
  for (const char* file : {kRunFile, kFailedFile, kMetricsFile}) fs::remove(folder / file, ignored);
  remove_error_messages(folder);
}

/// What the new training may not replace by its own: it may have fewer checkpoints.
void remove_results(const fs::path& folder) {
  std::error_code ignored;
  fs::remove(folder / "results.csv", ignored);
  fs::remove_all(folder / "weights", ignored);
}

timespec changed(const fs::path& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 ? status.st_ctim : timespec{};
}

bool earlier(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

}  // namespace

void check_not_replaced(const fs::path& wanted, const fs::path& weights) {
  if (weights.empty()) return;
  std::error_code error;
  const fs::path replaced = fs::weakly_canonical(wanted / "weights", error), used = fs::weakly_canonical(weights, error);
  if (used.parent_path() != replaced) return;
  throw InputError("--exist-ok: the checkpoints in " + replaced.string() + " would be replaced, and the training is to begin from one of them (" +
                   weights.string() + "). Choose another folder with --name NAME");
}

void check_train_folder(const fs::path& wanted) {
  fs::path existing = fs::absolute(wanted).lexically_normal();
  std::error_code error;
  while (!fs::exists(existing, error) && existing.has_relative_path()) existing = existing.parent_path();
  if (!fs::is_directory(existing, error)) not_writable(wanted, existing.string() + " is not a folder");
  if (::access(existing.c_str(), W_OK | X_OK) != 0) not_writable(wanted, std::strerror(errno));
}

TrainFolder::TrainFolder(const fs::path& wanted, FolderChoice choice) {
  check_train_folder(wanted);
  path_ = increment_path(wanted.parent_path(), wanted.filename().string(), choice != FolderChoice::increment).path;
  lock_ = OwnedFd(::open((path_ / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (lock_.value() < 0) not_writable(path_, std::strerror(errno));
  if (::flock(lock_.value(), LOCK_EX | LOCK_NB) != 0) {
    throw InputError("another training is writing into " + path_.string() +
                     ". Wait for its end, or choose another folder with --name NAME");
  }
  remove_endings(path_);
  if (choice == FolderChoice::exist_ok) remove_results(path_);
}

fs::path newest_checkpoint(const fs::path& project) {
  fs::path newest;
  timespec newest_time{};
  std::error_code error;
  for (fs::recursive_directory_iterator at(project, error), end; !error && at != end; at.increment(error)) {
    const fs::path& file = at->path();
    if (file.stem() != "last" || file.parent_path().filename() != "weights" || !at->is_regular_file()) continue;
    if (const timespec time = changed(file); newest.empty() || earlier(newest_time, time)) {
      newest = file;
      newest_time = time;
    }
  }
  if (!newest.empty()) return newest;
  throw InputError("--resume: there is no weights/last.* below " + project.string() +
                   ". Name the checkpoint, such as --resume runs/train/exp/weights/last.pt");
}

}  // namespace valbench
