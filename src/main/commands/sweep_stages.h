/// \file
/// The stages of a sweep that `sweep` and `plan` share.
#pragma once
#include "launch/run_guess.h"
#include "launch/sweep_eta.h"
#include "main/commands/commands.h"
#include "record/run_record.h"
#include "scenario/sweep_plan.h"

namespace valbench {

/// Parses the scenario with the options laid over it.
Scenario scenario_of(const SweepOptions& options);
/// The runs in the folder that the options ask for; --profile marks them as traced.
SweepPlan plan_of(const Scenario& scenario, const SweepOptions& options);

/// Before a sweep is resumed: throws InputError when a complete run in its folder was made with other settings or from
/// other synthetic images than the plan's. It is neither kept as if it were the same, nor lost.
void check_resumable(const Scenario& scenario, const SweepPlan& plan);

/// What is known of the data before anything is written.
struct CheckedData {
  ImageCounts images;
  std::vector<std::string> warnings;  ///< As in each run's record: the scenario's notices, and what is wrong with images.
};
/// Reads a data set the user gave, so that an empty one or a class out of range is refused before anything is written.
CheckedData check_data(const Scenario& scenario);
/// Warns of strategies under which ranks would wait for rank 0's validation until the process group gives up, as far as can be guessed.
void warn_of_group_timeout(const SweepPlan& plan, const ImageCounts& images);
/// Makes the synthetic set under the sweep's folder, unless it is there with the same options.
void prepare_data(const Scenario& scenario, const SweepPlan& plan);

/// The sweep's folder for torchrun, mpirun or srun: the data, a folder with spec.json for every run that is not complete, and runs.txt, which
/// names those files, one a line, in the order of the sweep. Throws InputError as check_resumable() and where the folder is another sweep's.
void write_plan(const Scenario& scenario, const SweepPlan& plan);

/// The records of the runs that the plan names: a folder may hold runs of an earlier plan.
std::vector<RunRecord> records_of(const SweepPlan& plan);
/// Durations of the complete runs in a folder; empty when there is none.
SweepEta durations_in(const std::filesystem::path& folder);
/// Writes the CSV files of the runs that are there, if any run of the baseline is.
void refresh_reports(const Scenario& scenario, const SweepPlan& plan);
/// Prints the report of the traced runs and the comparison of the others; false when there is nothing to compare.
bool print_comparison(const Scenario& scenario, const SweepPlan& plan);

}  // namespace valbench
