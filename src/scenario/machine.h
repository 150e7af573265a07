/// \file
/// What a scenario has to know about the machine it will run on.
#pragma once
#include <string>

namespace valbench {

/// Found by the program, given to parse_scenario(): tests give another one.
struct Machine {
  int cores = 1;         ///< Cores this process may use.
  int gpus = 0;          ///< GPUs that the CUDA driver reports.
  std::string gpu_note;  ///< Why there is no GPU: `libcuda.so.1 is not installed`. Empty when there is one.
  int hosts = 1;         ///< Hosts like this one, over which the ranks are spread evenly.
};

}  // namespace valbench
