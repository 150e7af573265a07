#include "main/commands/sweep_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/cache_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "comm/group_timeout.h"
#include "data/synthetic_dataset.h"
#include "data/yolo_dataset.h"
#include "record/run_store.h"
#include "scenario/rank_roles.h"

namespace valbench {
namespace {

constexpr const char* kMadeFrom = "made_from.txt";

/// What the set in a folder was made from; equal text means an equal set.
std::string fingerprint(const SyntheticSpec& s) {
  return fmt::format(
      "train_images {} val_images {} classes {} width {} height {} vary {} objects_per_image {} quality {} seed {}\n",
      s.train_images, s.val_images, s.classes, s.width, s.height, s.vary, s.objects_per_image, s.quality, s.seed);
}

}  // namespace

Scenario scenario_of(const SweepOptions& options) {
  std::vector<Override> overrides;
  for (const auto& text : options.set) overrides.push_back(parse_override(text));
  if (!options.rounds.empty()) overrides.push_back({"rounds", options.rounds, "--rounds " + options.rounds});
  Machine machine = find_machine();
  machine.hosts = options.hosts;
  return parse_scenario(options.scenario, overrides, machine);
}

SweepPlan plan_of(const Scenario& scenario, const SweepOptions& options) {
  SweepPlan plan = plan_sweep(scenario, options.out.empty() ? default_sweep_folder(scenario) : options.out);
  for (auto& run : plan.runs) {
    run.profile = options.profile;
    run.notices = scenario.notices;
  }
  return plan;
}

void check_resumable(const Scenario& scenario, const SweepPlan& plan) {
  const auto marker = plan.folder / "data" / kMadeFrom;
  const bool other_images =
      scenario.synthetic && std::filesystem::exists(marker) && read_file(marker) != fingerprint(scenario.synth);
  for (const RunSpec& run : plan.runs) {
    if (run_state(run.folder) != RunState::complete) continue;
    std::string difference;
    try {
      difference = difference_in_work(read_run_spec(run.folder / kSpecFile), run);
    } catch (const RecordError& error) {
      difference = error.what();
    }
    if (difference.empty() && other_images) difference = "other options of synth";
    if (difference.empty()) continue;
    throw InputError(run.folder.string() + " is a complete run of other settings (" + difference +
                     "). Take those settings again, remove that folder, or choose another one with --out DIR");
  }
}

CheckedData check_data(const Scenario& scenario) {
  CheckedData checked{{scenario.synth.train_images, scenario.synth.val_images}, scenario.notices};
  if (scenario.synthetic) return checked;
  const DataConfig config = read_data_config(scenario.base.data);
  const int threads = scenario.base.ranks * scenario.base.workers;
  for (const Split split : {Split::train, Split::val}) {
    const YoloDataset set = load_yolo_dataset(config, split, threads, {user_cache_folder(), scenario.base.single_cls});
    (split == Split::train ? checked.images.train : checked.images.val) = static_cast<std::int64_t>(set.images.size());
    checked.warnings.insert(checked.warnings.end(), set.warnings.begin(), set.warnings.end());
  }
  return checked;
}

void warn_of_group_timeout(const SweepPlan& plan, const ImageCounts& images) {
  std::set<std::string> warned;
  for (const RunSpec& run : plan.runs) {
    if (!waits_for_validation(run)) continue;
    const std::string text = group_timeout_warning(guess_validation_s(run, images));
    if (!text.empty() && warned.insert(run.validation.name).second) log_warning(run.validation.name + ": " + text);
  }
}

void prepare_data(const Scenario& scenario, const SweepPlan& plan) {
  if (!scenario.synthetic) return;
  const auto folder = plan.folder / "data", marker = folder / kMadeFrom;
  const std::string wanted = fingerprint(scenario.synth);
  if (std::filesystem::exists(marker) && std::filesystem::exists(folder / "data.yaml") && read_file(marker) == wanted)
    return;
  std::filesystem::remove(marker);  // It must not outlive its set when this is interrupted.
  log_note(fmt::format("making {} training and {} validation images", scenario.synth.train_images,
                       scenario.synth.val_images));
  make_synthetic_dataset(scenario.synth, folder);
  write_atomically(marker, wanted);
}

}  // namespace valbench
