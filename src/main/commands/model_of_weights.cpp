#include "main/commands/model_of_weights.h"

#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <system_error>

#include "base/cache_folder.h"
#include "base/checksum.h"
#include "base/error.h"
#include "base/file.h"
#include "base/subprocess.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// One file per text, so that a training that is continued finds the same one.
std::string keep_yaml(const std::string& name, const std::string& yaml) {
  const fs::path folder = user_cache_folder() / "models" / checksum_text(checksum(std::as_bytes(std::span(yaml))));
  const fs::path file = folder / (name + ".yaml");
  std::error_code error;
  if (user_cache_folder().empty()) error = std::make_error_code(std::errc::no_such_file_or_directory);
  if (!error && fs::exists(file)) return file.string();
  if (!error) fs::create_directories(folder, error);
  if (error) {
    throw InputError("the model YAML of the weights cannot be kept in " + folder.string() + ": " + error.message() +
                     ". Name another cache folder in VALBENCH_CACHE, or give the model with --cfg");
  }
  write_atomically(file, yaml);
  return file.string();
}

}  // namespace

std::string model_of_weights_file(const fs::path& weights, const fs::path& rank_program) {
  constexpr double kLimit_s = 300;
  const CapturedRun run = run_captured({rank_program.string(), "--model-of", weights.string()}, kLimit_s);
  std::istringstream lines(run.output);
  for (std::string line; std::getline(lines, line);) {
    const json answer = line.starts_with('{') ? json::parse(line, nullptr, /*allow_exceptions=*/false) : json();
    if (!answer.is_object()) continue;
    if (answer.contains("error")) throw InputError("--weights " + answer.at("error").get<std::string>());
    const std::string name = answer.value("model", ""), yaml = answer.value("yaml", "");
    return yaml.empty() ? name : keep_yaml(name, yaml);
  }
  throw Error("valbench-rank could not read " + weights.string() + (run.output.empty() ? "" : ": " + run.output));
}

}  // namespace valbench
