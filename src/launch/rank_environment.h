/// \file
/// Environment variables that pass between the controller and the ranks: the only place of the controller that knows
/// them.
#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "scenario/run_spec.h"

namespace valbench {

/// Where the ranks of a run meet, and what rank 0 gets from the controller.
struct RankEndpoints {
  int port = 0;
  int listen_fd = -1;    ///< Listening socket of the rendezvous store, for rank 0.
  int progress_fd = -1;  ///< Rank 0 writes `epoch E batch B BATCHES phase` lines here.
};

/// The variables of one rank: torchrun's names, thread count, and for ranks that share a GPU an NCCL host name of their
/// own.
std::vector<std::pair<std::string, std::string>> rank_environment(const RunSpec& spec, int rank,
                                                                  const RankEndpoints& endpoints);

/// `valbench-rank` beside this program; VALBENCH_RANK_PROGRAM names another one (tests).
std::filesystem::path find_rank_program();

}  // namespace valbench
