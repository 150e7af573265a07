// valbench: plans, launches and compares. Links no torch.
#include <CLI/CLI.hpp>
#include <exception>
#include <functional>

#include "base/error.h"
#include "base/log.h"
#include "main/commands/commands.h"
#include "main/commands/train_command_line.h"
#include "main/commands/val.h"

namespace {

using namespace valbench;

/// The exit code of a command, errors turned into one line each (design §1).
int guarded(const std::function<int()>& command) {
  try {
    return command();
  } catch (const InputError& error) {
    log_error(error.what());
    return 2;
  } catch (const std::exception& error) {
    log_error(error.what());
    return 4;
  }
}

void add_sweep_options(CLI::App& command, SweepOptions& options) {
  command.add_option("scenario", options.scenario, "Scenario file (scenarios/README.md)")->required();
  command.add_option("--out", options.out, "Results folder (default: results/NAME)");
  command.add_option("--rounds", options.rounds, "How often every strategy is run");
  command.add_option("--set", options.set, "Override a key of the scenario: --set validation.interval=2")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  command.add_flag("--profile", options.profile, "Trace the runs; traced runs never enter a verdict");
}

void add_hosts_option(CLI::App& command, SweepOptions& options) {
  command.add_option("--hosts", options.hosts, "Hosts like this one that the ranks are spread over evenly")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
}

void add_verify_options(CLI::App& command, VerifyOptions& options) {
  command.add_option("scenario", options.scenario, "Scenario file (scenarios/README.md)")->required();
  command.add_option("--epochs", options.epochs, "Epochs of each run (default: 2, or the scenario's if less)");
  command.add_option("--out", options.out, "Results folder (default: results/NAME-verify); an earlier check in it is replaced");
  command.add_option("--set", options.set, "Override a key of the scenario: --set validation.interval=2")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
}

void add_synth_options(CLI::App& command, SynthOptions& options) {
  SyntheticSpec& spec = options.spec;
  command.add_option("--out", options.out, "Folder for the data set")->required();
  command.add_option("--train-images", spec.train_images, "Training images")->capture_default_str();
  command.add_option("--val-images", spec.val_images, "Validation images")->capture_default_str();
  command.add_option("--classes", spec.classes, "Classes")->capture_default_str();
  command.add_option("--width", spec.width, "Width of the largest images, pixels")->capture_default_str();
  command.add_option("--height", spec.height, "Height, pixels")->capture_default_str();
  command.add_option("--vary", spec.vary, "Several aspect ratios (true, false)")->capture_default_str();
  command.add_option("--objects-per-image", spec.objects_per_image, "Mean number of objects")->capture_default_str();
  command.add_option("--quality", spec.quality, "JPEG quality")->capture_default_str();
  command.add_option("--seed", spec.seed, "Equal options and seed give equal files")->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"How much of a YOLOv5 training is validation, and which validation strategy is the best balance?",
               "valbench"};
  app.set_version_flag("--version", VALBENCH_VERSION);
  app.require_subcommand(1);
  int code = 0;
  SweepOptions sweep, plan, report;
  SynthOptions synth;
  CompareOptions compare;

  CLI::App* sweep_command = app.add_subcommand("sweep", "Train under every strategy of a scenario and compare");
  add_sweep_options(*sweep_command, sweep);
  sweep_command->add_flag("--resume", sweep.resume, "Keep complete runs of an interrupted sweep, make the others");
  sweep_command->callback([&] { code = guarded([&] { return run_sweep(sweep); }); });

  TrainCommandLine train(*app.add_subcommand("train", "Train a YOLOv5 model, with YOLOv5's option names"));
  train.command().callback([&] { code = guarded([&] { return run_train(train.arguments()); }); });

  CLI::App* plan_command = app.add_subcommand("plan", "Show the runs of a sweep and how long they take; runs nothing");
  add_sweep_options(*plan_command, plan);
  add_hosts_option(*plan_command, plan);
  plan_command->add_flag("--write", plan.write, "Also write data, spec.json of each run and runs.txt, for torchrun, mpirun or srun");
  plan_command->callback([&] { code = guarded([&] { return run_plan(plan); }); });

  CLI::App* report_command = app.add_subcommand("report", "Compare the runs of a scenario that are there, whoever started their ranks");
  add_sweep_options(*report_command, report);
  add_hosts_option(*report_command, report);
  report_command->callback([&] { code = guarded([&] { return run_report(report); }); });

  VerifyOptions verify;
  CLI::App* verify_command = app.add_subcommand("verify", "Check that every strategy of a scenario scores what rank 0 alone scores");
  add_verify_options(*verify_command, verify);
  verify_command->callback([&] { code = guarded([&] { return run_verify(verify); }); });

  CLI::App* synth_command = app.add_subcommand("synth", "Make a learnable COCO-like data set");
  add_synth_options(*synth_command, synth);
  synth_command->callback([&] { code = guarded([&] { return run_synth(synth); }); });

  CLI::App* compare_command = app.add_subcommand("compare", "Verdict between the runs of two folders");
  compare_command->add_option("baseline", compare.baseline, "Folder of the baseline's runs")->required();
  compare_command->add_option("candidate", compare.candidate, "Folder of the candidate's runs")->required();
  compare_command->add_option("--margin", compare.margin, "Relative difference that counts as none")
      ->capture_default_str();
  compare_command->callback([&] { code = guarded([&] { return run_compare(compare); }); });

  ValOptions val;
  add_val_command(app, val, [&] { code = guarded([&] { return run_val(val); }); });

  app.add_subcommand("doctor", "What works on this machine, and what does not")->callback([&] {
    code = guarded(run_doctor);
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return code;
}
