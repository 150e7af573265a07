#include "main/commands/train_resume.h"

#include <algorithm>

#include "base/error.h"
#include "launch/train_folder.h"
#include "record/run_store.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

/// What a continued training may be given anew: where it runs and how long, not what it does.
const std::vector<std::string> kMayChange = {"resume", "resume_exact", "data",    "device", "ranks",
                                             "workers", "epochs",      "project", "noplots"};

fs::path checkpoint_of(const TrainArguments& arguments, const std::string& option) {
  const std::string given = arguments.value(option);
  if (given == "true") return fs::absolute(newest_checkpoint(arguments.value("project"))).lexically_normal();
  if (fs::is_regular_file(given)) return fs::absolute(given).lexically_normal();
  throw InputError(shown_option(option) + " " + given +
                   ": no such checkpoint. Give a file such as runs/train/exp/weights/last.pt, or no file for the newest");
}

void refuse_finished(const fs::path& folder) {
  if (run_state(folder) != RunState::complete) return;
  throw InputError("--resume: the training in " + folder.string() +
                   " is finished, there is nothing to continue. Start a new one from its weights with --weights");
}

}  // namespace

ResumePoint resume_point(const TrainArguments& command_line) {
  ResumePoint point;
  const std::string option = command_line.value("resume_exact") != "false" ? "resume_exact" : "resume";
  point.checkpoint = checkpoint_of(command_line, option);
  const fs::path folder = point.checkpoint.parent_path().parent_path();
  if (!fs::is_regular_file(folder / "opt.yaml")) {
    point.arguments = command_line;
    return point;
  }
  refuse_finished(folder);
  point.folder = folder;
  point.arguments = read_opt_yaml(folder / "opt.yaml", point.ignored);
  for (const auto& [name, value] : command_line.given) {
    if (std::find(kMayChange.begin(), kMayChange.end(), name) == kMayChange.end()) {
      throw InputError(shown_option(name) + " cannot change in a continued training: " +
                       (folder / "opt.yaml").string() + " says " + point.arguments.value(name) +
                       ". Leave it out, or start a new training from the weights with --weights " +
                       point.checkpoint.string());
    }
    if (name != "project") point.arguments.given[name] = value;
  }
  point.arguments.settings.insert(point.arguments.settings.end(), command_line.settings.begin(),
                                  command_line.settings.end());
  return point;
}

}  // namespace valbench
