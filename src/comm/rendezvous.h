/// \file
/// Where the ranks meet, read from the environment of whoever started them.
#pragma once
#include "comm/communicator.h"

namespace valbench {

/// RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT (torchrun and our controller), else SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID,
/// else OMPI_COMM_WORLD_*; one rank when none is set. Throws InputError for a value that is no number or a rank outside the world.
Rendezvous rendezvous_from_environment();

}  // namespace valbench
