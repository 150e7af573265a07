#include "base/cache_folder.h"

#include <cstdlib>

namespace valbench {
namespace {

// A relative folder would be another one in every working directory.
std::filesystem::path folder_named_by(const char* variable) {
  const char* value = std::getenv(variable);
  const std::filesystem::path folder = value != nullptr ? value : "";
  return folder.is_absolute() ? folder : std::filesystem::path();
}

}  // namespace

std::filesystem::path user_cache_folder() {
  if (const auto folder = folder_named_by("VALBENCH_CACHE"); !folder.empty()) return folder;
  if (const auto folder = folder_named_by("XDG_CACHE_HOME"); !folder.empty()) return folder / "valbench";
  if (const auto home = folder_named_by("HOME"); !home.empty()) return home / ".cache" / "valbench";
  return {};
}

}  // namespace valbench
