#include "launch/increment_path.h"

#include <string>
#include <system_error>

#include "base/error.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& folder, const std::error_code& error) {
  throw InputError(folder.string() + " cannot be made: " + error.message() + ". Choose another place with --project and --name");
}

/// The outermost folder of `path` that is not there yet.
fs::path outermost_missing(const fs::path& path) {
  fs::path missing = path;
  std::error_code error;
  while (missing.has_parent_path() && missing.parent_path() != missing && !fs::exists(missing.parent_path(), error)) {
    missing = missing.parent_path();
  }
  return missing;
}

}  // namespace

void NewFolder::remove() const {
  if (made_from.empty()) return;
  std::error_code ignored;
  fs::remove_all(path, ignored);
  for (fs::path above = path; above != made_from && above.has_parent_path();) {
    above = above.parent_path();
    if (!fs::remove(above, ignored)) return;  // Another run has put something there.
  }
}

NewFolder increment_path(const fs::path& project, const std::string& name, bool exist_ok) {
  fs::path first = fs::absolute(project / name).lexically_normal();
  if (!first.has_filename()) first = first.parent_path();  // `exp/` is exp.
  NewFolder folder{first, outermost_missing(first)};
  std::error_code error;
  fs::create_directories(first.parent_path(), error);
  if (error) fail(first, error);
  for (int number = 1;; ++number) {
    if (number > 1) folder.path = first.string() + std::to_string(number);
    if (folder.made_from.parent_path() == first.parent_path()) folder.made_from = folder.path;
    // Making it is the test whether it is free: two programs that start together get one each.
    if (fs::create_directory(folder.path, error)) return folder;
    if (error && error != std::errc::file_exists) fail(folder.path, error);
    if (exist_ok && fs::is_directory(first)) return {first, {}};
  }
}

}  // namespace valbench
