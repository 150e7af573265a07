/// \file
/// Where valbench keeps what can be made again.
#pragma once
#include <filesystem>

namespace valbench {

/// VALBENCH_CACHE, or valbench/ in XDG_CACHE_HOME or in ~/.cache, as the launcher has it; empty when none of them is
/// set. Programs ask once, where they start.
std::filesystem::path user_cache_folder();

}  // namespace valbench
