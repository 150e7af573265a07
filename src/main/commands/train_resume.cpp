#include "main/commands/train_resume.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/path_kind.h"
#include "base/subprocess.h"
#include "launch/train_folder.h"
#include "main/commands/commands.h"
#include "record/run_store.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

/// What a continued training may be given anew: where it runs and how long, not what it does.
const std::vector<std::string> kMayChange = {"resume", "resume_exact", "data",    "device", "ranks",
                                             "workers", "epochs",      "project", "noplots"};
/// Of the folder, where the checkpoint lies in no run folder and a new one is made.
const std::vector<std::string> kFolderOptions = {"project", "name", "exist_ok"};
/// Of one call: a folder that a training goes on in keeps its own.
const std::vector<std::string> kCallOptions = {"resume", "resume_exact", "project"};

bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

fs::path checkpoint_of(const TrainArguments& arguments, const std::string& option) {
  const std::string given = arguments.value(option);
  if (given == "true") return fs::absolute(newest_checkpoint(arguments.value("project"))).lexically_normal();
  if (is_file(given)) return fs::absolute(given).lexically_normal();
  throw InputError(shown_option(option) + " " + given +
                   ": no such checkpoint. Give a file such as runs/train/exp/weights/last.safetensors, or no file for the newest");
}

void refuse_finished(const fs::path& folder) {
  if (run_state(folder) != RunState::complete) return;
  throw InputError("--resume: the training in " + folder.string() +
                   " is finished, there is nothing to continue. Start a new one from its weights with --weights");
}

/// Only valbench-rank reads tensors: this program links no torch.
ResumeFacts read_facts(const fs::path& checkpoint) {
  constexpr double kLimit_s = 300;
  const CapturedRun run = run_captured({checked_rank_program().string(), "--checkpoint", checkpoint.string()}, kLimit_s);
  std::istringstream lines(run.output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('{')) continue;
    if (run.exit.ok()) return resume_facts_from_json(line);
    const auto answer = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (answer.is_object() && answer.contains("error")) throw InputError(answer.at("error").get<std::string>());
  }
  throw Error("valbench-rank could not read " + checkpoint.string() + (run.output.empty() ? "" : ": " + run.output));
}

/// Options that the command line cannot replace name themselves in an error.
void lay_over(const TrainArguments& command_line, ResumePoint& point) {
  const bool new_folder = point.folder.empty();
  const std::string stored = new_folder ? point.checkpoint.string() : (point.folder / "opt.yaml").string();
  for (const auto& [name, value] : command_line.given) {
    if (!contains(kMayChange, name) && !(new_folder && contains(kFolderOptions, name))) {
      throw InputError(shown_option(name) + " cannot change in a continued training: " + stored + " says " +
                       point.arguments.value(name) + ". Leave it out, or start a new training from the weights with --weights " +
                       point.checkpoint.string());
    }
    if (new_folder || !contains(kCallOptions, name)) point.arguments.given[name] = value;
  }
  point.arguments.settings.insert(point.arguments.settings.end(), command_line.settings.begin(), command_line.settings.end());
}

void settle_epochs(ResumePoint& point) {
  const std::string text = point.arguments.value("epochs");
  int epochs = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), epochs);
  if (error != std::errc() || end != text.data() + text.size()) return;  // Refused with the option's own message.
  if (const int all = resumed_epochs(epochs, point.facts); all != epochs) point.arguments.given["epochs"] = std::to_string(all);
}

/// What was measured when the training began stays what it is.
void settle_batch_size(ResumePoint& point) {
  if (point.arguments.value("batch_size") != "-1") return;
  if (const int batch = trained_batch_size(point.facts); batch > 0) point.arguments.given["batch_size"] = std::to_string(batch);
}

}  // namespace

ResumePoint resume_point(const TrainArguments& command_line) {
  ResumePoint point;
  const std::string option = command_line.value("resume_exact") != "false" ? "resume_exact" : "resume";
  point.checkpoint = checkpoint_of(command_line, option);
  const fs::path folder = point.checkpoint.parent_path().parent_path();
  const bool in_run_folder = is_file(folder / "opt.yaml");
  if (in_run_folder) refuse_finished(folder);
  point.facts = read_facts(point.checkpoint);
  check_resumable(point.facts);
  if (in_run_folder) {
    point.folder = folder;
    point.arguments = read_opt_yaml(folder / "opt.yaml", point.ignored);
    point.start_weights = point.arguments.value("weights");
    lay_over(command_line, point);
  } else if (!point.facts.options.empty()) {
    point.arguments = parse_opt_yaml(point.facts.options, point.checkpoint.string(), point.ignored);
    for (const std::string& name : kFolderOptions) point.arguments.given.erase(name);
    lay_over(command_line, point);
  } else {
    point.arguments = command_line;
  }
  // The weights that the training once began with may be gone, and are not asked for.
  point.arguments.given["weights"] = point.checkpoint.string();
  if (point.arguments.value("cfg").empty() && !point.facts.model.empty()) point.arguments.given["cfg"] = point.facts.model;
  settle_epochs(point);
  settle_batch_size(point);
  return point;
}

}  // namespace valbench
