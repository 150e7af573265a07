#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path_kind.h"
#include "data/yolo_dataset.h"
#include "launch/launcher.h"
#include "launch/train_folder.h"
#include "main/commands/metrics_table.h"
#include "main/commands/model_of_weights.h"
#include "main/commands/sweep_stages.h"
#include "main/commands/train_console.h"
#include "main/commands/train_resume.h"
#include "record/run_store.h"
#include "scenario/val_spec.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

constexpr int kDone = 0, kRunFailed = 4, kInterrupted = 130;

/// A training with all that is known of it before anything is written.
struct PlannedTraining {
  TrainArguments arguments;
  RunSpec spec;
  fs::path start_weights;  ///< As opt.yaml names them: of a continued training those that it once began with.
  fs::path wanted;  ///< Folder; another one where this is taken.
  FolderChoice choice = FolderChoice::increment;
  std::vector<std::string> warnings;
  ImageCounts images;
};

bool resumes(const TrainArguments& arguments) {
  return arguments.value("resume") != "false" || arguments.value("resume_exact") != "false";
}

fs::path wanted_folder(const TrainArguments& arguments, const RunSpec& spec) {
  const std::string name = arguments.value("name");
  if (name.empty()) throw InputError("--name is empty. Allowed: a folder name, such as exp");
  return fs::path(arguments.value("project")) / (name == "cfg" ? fs::path(spec.model).stem().string() : name);
}

/// Of the data set, as the model will have them.
int class_count(const RunSpec& spec) { return spec.single_cls ? 1 : static_cast<int>(read_data_config(spec.data).names.size()); }

/// `--weights yolov5s.pt` alone is enough: the file says which model it is of. From here on it is as if --cfg had named it.
void name_model(TrainArguments& arguments) {
  const std::string weights = arguments.value("weights");
  if (weights.empty() || !arguments.value("cfg").empty() || !is_file(weights)) return;
  arguments.given["cfg"] = model_of_weights_file(weights, checked_rank_program());
}

std::string ignored_options(const ResumePoint& resume) {
  std::string names;
  for (const std::string& name : resume.ignored) names += (names.empty() ? "" : ", ") + name;
  return "options of the training that valbench does not have are left out: " + names;
}

PlannedTraining plan_training(const TrainArguments& command_line) {
  PlannedTraining plan;
  plan.arguments = command_line;
  ResumePoint resume;
  if (resumes(command_line)) {
    resume = resume_point(command_line);
    plan.arguments = resume.arguments;
    if (!resume.ignored.empty()) plan.warnings.push_back(ignored_options(resume));
  }
  name_model(plan.arguments);
  const Scenario scenario = parse_train_options(plan.arguments, find_machine());
  plan.spec = scenario.base;
  plan.spec.resume = resume.checkpoint;
  plan.spec.resume_exact = command_line.value("resume_exact") != "false";
  plan.spec.notices = scenario.notices;
  plan.spec.keep_anchors = resume.checkpoint.empty() && !command_line.value("cfg").empty();
  if (!plan.spec.resume.empty()) check_resume(resume.facts, plan.spec, class_count(plan.spec));
  plan.start_weights = plan.spec.weights;
  if (!resume.folder.empty()) {
    plan.choice = FolderChoice::resume;
    plan.wanted = resume.folder;
    plan.start_weights = resume.start_weights;
  } else {
    plan.choice = plan.arguments.flag("exist_ok") ? FolderChoice::exist_ok : FolderChoice::increment;
    plan.wanted = wanted_folder(plan.arguments, plan.spec);
    if (plan.choice == FolderChoice::exist_ok) check_not_replaced(plan.wanted, plan.spec.weights);
  }
  check_train_folder(plan.wanted);
  const CheckedData data = check_data(scenario);
  plan.images = data.images;
  plan.warnings.insert(plan.warnings.end(), data.warnings.begin(), data.warnings.end());
  return plan;
}

void write_inputs(const PlannedTraining& plan, const RunSpec& spec) {
  const bool begun_by_yolov5 = plan.choice == FolderChoice::resume && !is_file(spec.folder / kSpecFile);
  write_run_spec(spec, spec.folder / kSpecFile);
  write_val_spec(closing_val_spec(spec, !plan.arguments.flag("noplots")), spec.folder / kValSpecFile);
  if (begun_by_yolov5) return;  // Its opt.yaml and hyp.yaml have keys of its own.
  RunSpec begun = spec;
  begun.weights = plan.start_weights;
  // Of a continued training too: what was given anew holds for the next --resume as well.
  write_atomically(spec.folder / "opt.yaml", opt_yaml(plan.arguments, begun));
  write_atomically(spec.folder / "hyp.yaml", hyp_yaml(spec.hyp));
}

/// How to go on after an end that was not planned; empty when there is no checkpoint yet.
std::string advice_to_go_on(const RunSpec& spec) {
  const fs::path last = spec.folder / "weights/last.safetensors";
  if (!path_exists(last)) return {};
  if (spec.validation.placement == Placement::deferred) {
    return "With placement deferred it cannot go on: start a new training from its weights with --weights " + last.string();
  }
  return "Go on with valbench train --resume " + last.string();
}

/// What to do where the training is done and the validation after it is not. Its checkpoints hold no training state any more.
std::string advice_to_validate(const RunSpec& spec) {
  const fs::path weights = spec.folder / "weights", best = weights / "best.safetensors";
  return "The training is finished, its results are in " + spec.folder.string() +
         "; only the validation of its weights at the end is missing. Make it with valbench val --weights " +
         (path_exists(best) ? best : weights / "last.safetensors").string() + " --data " + spec.data.string() + " --imgsz " +
         std::to_string(spec.imgsz);
}

/// The record says so too. A full disk may be what made the validation fail: it must not hide why it did.
void note_missing_validation(const std::string& failure, const RunSpec& spec, RunRecord& record) {
  record.warnings.push_back("the validation at the end of the training is missing: " + failure.substr(0, failure.find('\n')));
  try {
    write_run_record(record, spec.folder / kRunFile);
  } catch (const RecordError& error) {
    log_warning(error.what());
  }
}

/// The table of the closing validation, and what it is of; nothing where the training has not validated.
void print_closing(const fs::path& folder) {
  if (!fs::exists(folder / kMetricsFile)) return;
  log_note("\nvalidation of " + validated_weights(folder / kMetricsFile).lexically_relative(folder).string() + ", fused:");
  print_metrics(folder / kMetricsFile, false);
}

/// An end before the last epoch.
int report_unfinished(const LaunchResult& result, const RunSpec& spec) {
  const std::string advice = advice_to_go_on(spec);
  if (result.status == RunStatus::interrupted) {
    log_note(advice.empty() ? "stopped before the first checkpoint" : "stopped. " + advice);
    return kInterrupted;
  }
  if (result.bad_input) throw InputError(result.failure);
  log_error(result.failure);
  if (!advice.empty()) log_note(advice);
  return kRunFailed;
}

/// \param shown warnings that were printed when the training began.
int report_end(const LaunchResult& result, const RunSpec& spec, const std::vector<std::string>& shown, double seconds) {
  if (run_state(spec.folder) != RunState::complete) return report_unfinished(result, spec);
  RunRecord record = read_run_record(spec.folder / kRunFile);
  for (const auto& warning : record.warnings) {
    if (std::find(shown.begin(), shown.end(), warning) == shown.end()) log_warning(warning);
  }
  for (const auto& reason : record.invalid_reasons) log_warning(reason);
  log_note(training_summary(record, seconds));
  if (result.status != RunStatus::complete) {
    note_missing_validation(result.failure, spec, record);
    const bool interrupted = result.status == RunStatus::interrupted;
    if (!interrupted) log_error(result.failure);
    log_note((interrupted ? "stopped. " : "") + advice_to_validate(spec));
    return interrupted ? kInterrupted : kRunFailed;
  }
  print_closing(spec.folder);
  print_line(spec.folder.string());
  return kDone;
}

}  // namespace

int run_train(const TrainArguments& command_line) {
  const PlannedTraining plan = plan_training(command_line);
  const auto program = checked_rank_program();
  const TrainFolder folder(plan.wanted, plan.choice);
  RunSpec spec = plan.spec;
  spec.folder = folder.path();
  spec.run_id = folder.path().filename().string();
  write_inputs(plan, spec);
  TrainConsole console(spec, plan.images);
  for (const auto& warning : plan.warnings) log_warning(warning);
  SignalWatch signals;
  const std::int64_t begin_ns = now_ns();
  const LaunchResult result =
      launch_run(spec, program, signals, [&](const RankProgress& progress) { console.show(progress, now_ns()); },
                 {.closing_file = kValSpecFile});
  console.finish();
  return report_end(result, spec, plan.warnings, seconds_between(begin_ns, now_ns()));
}

}  // namespace valbench
