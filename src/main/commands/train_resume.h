/// \file
/// Where `valbench train --resume` goes on, and with which options.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "scenario/resume_facts.h"
#include "scenario/train_options.h"

namespace valbench {

/// A training that is to be continued.
struct ResumePoint {
  std::filesystem::path checkpoint;  ///< Absolute.
  std::filesystem::path folder;      ///< The run folder to go on in; empty = a new one, as the checkpoint lies in none.
  ResumeFacts facts;                 ///< What valbench-rank read in the checkpoint.
  TrainArguments arguments;          ///< Of opt.yaml, with what may be given anew laid over it.
  std::string start_weights;         ///< Where there is such a folder: the weights that its training once began with.
  std::vector<std::string> ignored;  ///< Options of opt.yaml that valbench does not have.
};

/// Finds the checkpoint of --resume or --resume-exact. Where its run folder holds an opt.yaml, that gives the options; else the
/// checkpoint does, or where it stores none the command line, and the training goes on in a folder of its own. Throws InputError for a
/// finished run, for a file without training state, and for options that cannot change.
ResumePoint resume_point(const TrainArguments& command_line);

}  // namespace valbench
