/// \file
/// The programs and libraries of the build under test.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

namespace valbench::test {

/// A file of the build folder, `src/main/valbench`: under VALBENCH_BUILD, else where it lies relative to this test
/// program's own build folder, else beside this program. Empty when it is nowhere.
inline std::filesystem::path built(const std::filesystem::path& file) {
  namespace fs = std::filesystem;
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  const char* build = std::getenv("VALBENCH_BUILD");
  for (const fs::path& candidate : {fs::path(build != nullptr ? build : "") / file, here.parent_path().parent_path() / file,
                                    here / file.filename()}) {
    if (candidate.is_absolute() && fs::exists(candidate)) return candidate;
  }
  return {};
}

}  // namespace valbench::test
