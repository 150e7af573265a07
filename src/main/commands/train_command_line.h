/// \file
/// The table of options (scenario/train_options.h) as a command line.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "scenario/train_options.h"

namespace valbench {

/// The options of `valbench train`, added to a command that outlives this.
class TrainCommandLine {
 public:
  explicit TrainCommandLine(CLI::App& command);
  CLI::App& command() const { return command_; }
  /// What was given; after parsing.
  TrainArguments arguments() const;

 private:
  CLI::App& command_;
  std::vector<CLI::Option*> options_;  ///< In the table's order.
  CLI::Option* set_;
};

}  // namespace valbench
