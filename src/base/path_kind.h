/// \file
/// What a path names, asked of paths that a user or a file has written.
#pragma once
#include <filesystem>
#include <system_error>

namespace valbench {

/// Is there a regular file? Unlike std's, false where the system refuses the question: a name longer than it allows, a
/// folder without permission.
inline bool is_file(const std::filesystem::path& path) noexcept {
  std::error_code refused;
  return std::filesystem::is_regular_file(path, refused);
}

/// Is there anything? False where the system refuses the question.
inline bool path_exists(const std::filesystem::path& path) noexcept {
  std::error_code refused;
  return std::filesystem::exists(path, refused);
}

}  // namespace valbench
