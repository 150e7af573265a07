/// \file
/// Where the ranks meet, read from the environment of whoever started them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace valbench {

/// RANK, WORLD_SIZE, LOCAL_RANK of torchrun and our controller; else OMPI_COMM_WORLD_* of mpirun; else SLURM_PROCID,
/// SLURM_STEP_NUM_TASKS, SLURM_LOCALID of srun; one rank when none is set. The address and port are MASTER_ADDR and
/// MASTER_PORT. Throws InputError for a value that is no number, a rank outside the world, a variable without its
/// partner, and ranks of several hosts without MASTER_ADDR.
Rendezvous rendezvous_from_environment();

/// Where torchrun's agent has opened the store already: what this attempt's keys begin with, so that workers started
/// anew do not find those of the last attempt. Nothing where rank 0 opens it.
std::optional<std::string> agent_store_prefix();

/// The network interfaces of GLOO_SOCKET_IFNAME (`eth0` or `eth0,eth1`, as in PyTorch); empty when it is not set.
std::vector<std::string> gloo_interfaces();

/// The GPU of a rank: by its place on its host, since a spec knows nothing of the others. Throws InputError when the
/// spec has none for it. \param device_ids those of the spec; empty: the place itself.
int gpu_of_rank(const std::vector<int>& device_ids, int local_rank);

}  // namespace valbench
