#include "launch/sweep_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void not_writable(const fs::path& folder, const std::string& reason) {
  throw InputError("results folder " + folder.string() + " is not writable: " + reason +
                   ". Choose another one with --out DIR");
}

}  // namespace

void check_sweep_folder(const fs::path& folder, bool resume) {
  fs::path existing = fs::absolute(folder).lexically_normal();
  std::error_code error;
  while (!fs::exists(existing, error) && existing.has_relative_path()) existing = existing.parent_path();
  if (!fs::is_directory(existing, error)) not_writable(folder, existing.string() + " is not a folder");
  if (::access(existing.c_str(), W_OK | X_OK) != 0) not_writable(folder, std::strerror(errno));
  if (resume || !fs::is_directory(folder, error)) return;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!fs::exists(entry.path() / "run.json", error)) continue;
    throw InputError("results folder " + folder.string() + " holds complete runs (" + entry.path().filename().string() +
                     "). Continue that sweep with --resume, or choose another folder with --out DIR");
  }
}

SweepFolder::SweepFolder(const fs::path& folder, bool resume) {
  check_sweep_folder(folder, resume);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) not_writable(folder, error.message());
  lock_ = OwnedFd(::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (lock_.value() < 0) not_writable(folder, std::strerror(errno));
  if (::flock(lock_.value(), LOCK_EX | LOCK_NB) != 0) {
    throw InputError("another sweep is writing into " + folder.string() +
                     ". Wait for its end, or choose another folder with --out DIR");
  }
}

bool SweepFolder::complete(const RunSpec& spec) {
  if (!fs::exists(spec.folder / "run.json")) return false;
  try {
    return same_work(read_run_spec(spec.folder / "spec.json"), spec);
  } catch (const RecordError&) {
    return false;  // Another version's spec: the run is made again.
  }
}

void SweepFolder::prepare(const RunSpec& spec) {
  std::error_code error;
  const bool ours = fs::exists(spec.folder / "spec.json", error) || fs::is_empty(spec.folder, error);
  if (fs::exists(spec.folder) && !ours) {
    throw InputError(spec.folder.string() + " holds files that are not of a run. Choose another folder with --out DIR");
  }
  fs::remove_all(spec.folder, error);
  fs::create_directories(spec.folder, error);
  if (error) throw RecordError("cannot make " + spec.folder.string() + ": " + error.message());
  write_run_spec(spec, spec.folder / "spec.json");
}

}  // namespace valbench
