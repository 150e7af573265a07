/// \file
/// A scenario: the question a sweep answers, checked and with every default written out. After parse_scenario() nobody
/// sees YAML.
#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "scenario/machine.h"
#include "scenario/run_spec.h"

namespace valbench {

/// What every run of a sweep shares, the strategies it compares, and how often.
struct Scenario {
  std::filesystem::path file;
  std::string name;
  RunSpec base;            ///< All that runs share; `data` is empty while the set is still to be synthesised.
  bool synthetic = false;  ///< `data: synth`: the set is made from `synth` before the first run.
  SyntheticSpec synth;
  std::vector<ValidationSpec> strategies;  ///< Axes already multiplied in; names are unique.
  std::string baseline;                    ///< Name of one of `strategies`.
  int rounds = 6;
  double margin = 0.01;              ///< Relative difference of job_s below which two strategies are the SAME.
  std::vector<std::string> notices;  ///< What was changed or is worth a warning, one sentence each.
};

/// `--set key=value` (dotted keys), or another option that stands for one.
struct Override {
  std::string key, value;
  std::string shown;  ///< As the user wrote it, for errors: `--set validation.interval=2`.
};
/// Takes `key=value` apart. Throws InputError.
Override parse_override(const std::string& text);

/// Reads and checks a scenario. Throws ScenarioError (`file:line: key = value: reason. Allowed: …`) or, where an
/// override is at fault, InputError that starts with the override. Writes nothing.
Scenario parse_scenario(const std::filesystem::path& file, const std::vector<Override>& overrides,
                        const Machine& machine);

/// One training without strategies, rounds or a name, from options that stand for keys of a scenario: the same checks
/// and defaults. Throws InputError that starts with the option at fault.
Scenario parse_training(const std::vector<Override>& options, const Machine& machine);

/// The keys of each part of a scenario: {"", {name, model, …}}, {"validation", …}, {"synth", …}, {"hyp", …}.
std::vector<std::pair<std::string, std::vector<std::string>>> scenario_keys();

}  // namespace valbench
