/// \file
/// Whether the built rank program finds a GPU, for tests that run the real programs on one.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/subprocess.h"
#include "tests/support/programs.h"

namespace valbench::test {

/// Why there is no GPU to run on; empty when there is one.
inline std::string no_gpu_for_ranks() {
  const std::filesystem::path program = built("src/main/valbench-rank");
  if (program.empty() || built("src/main/valbench").empty()) return "valbench and valbench-rank are not built";
  const CapturedRun run = run_captured({program.string(), "--versions"}, 60);
  const auto at = run.output.find('{');
  const auto versions = nlohmann::json::parse(at == std::string::npos ? "" : run.output.substr(at), nullptr, false);
  if (!versions.is_object()) return "valbench-rank --versions says: " + run.output;
  return versions["gpus"].empty() ? "needs a GPU: " + versions.value("gpu_problem", "none") : std::string();
}

}  // namespace valbench::test
