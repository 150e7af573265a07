/// \file
/// The controller's commands. Each returns the exit code of design §1 and throws Error for what goes wrong.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "scenario/machine.h"
#include "scenario/run_spec.h"
#include "scenario/train_options.h"

namespace valbench {

/// Options that sweep, plan and report share.
struct SweepOptions {
  std::filesystem::path scenario;
  std::filesystem::path out;     ///< Empty: results/NAME.
  std::vector<std::string> set;  ///< key=value
  std::string rounds;            ///< Empty: the scenario's.
  bool resume = false;
  bool profile = false;
  int hosts = 1;       ///< plan and report: the ranks will be spread over so many hosts like this one.
  bool write = false;  ///< plan: leave what another launcher needs to make the runs.
};
int run_sweep(const SweepOptions& options);
int run_plan(const SweepOptions& options);
/// Compares the runs that are there, whoever made them.
int run_report(const SweepOptions& options);

/// Options of `verify`: each strategy once, for a few epochs, every validation scored again.
struct VerifyOptions {
  std::filesystem::path scenario;
  std::filesystem::path out;     ///< Empty: results/NAME-verify.
  std::vector<std::string> set;  ///< key=value
  std::string epochs;            ///< Empty: two, or the scenario's where that is less.
};
/// 0: every strategy scored what it claims; 1: one did not; 4: a run failed.
int run_verify(const VerifyOptions& options);

struct SynthOptions {
  SyntheticSpec spec;
  std::filesystem::path out;
};
int run_synth(const SynthOptions& options);

struct CompareOptions {
  std::filesystem::path baseline, candidate;  ///< Run folders, or folders of runs of one strategy.
  double margin = 0.01;
};
int run_compare(const CompareOptions& options);

/// `valbench train` with options by YOLOv5's names (scenario/train_options.h).
int run_train(const TrainArguments& arguments);

int run_doctor();

/// Cores and GPUs. The driver is asked in a child process, so that this one never loads CUDA.
Machine find_machine();

/// valbench-rank, which every run starts. Throws Error when it is not there.
std::filesystem::path checked_rank_program();

}  // namespace valbench
