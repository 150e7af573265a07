#include "comm/rendezvous.h"

#include <cstdlib>
#include <map>
#include <string>

#include "base/error.h"
#include "comm/communicator.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

/// The environment with only these variables of all that a rendezvous reads.
Rendezvous rendezvous_with(const std::map<std::string, std::string>& variables) {
  for (const char* name : {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID", "SLURM_NTASKS",
                           "SLURM_LOCALID", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                           "VALBENCH_LISTEN_FD"})
    ::unsetenv(name);
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  return rendezvous_from_environment();
}

}  // namespace

TEST_CASE("a program started by hand is one rank alone") {
  const Rendezvous r = rendezvous_with({});
  CHECK(r.rank == 0);
  CHECK(r.world_size == 1);
  CHECK(r.local_rank == 0);
  CHECK(r.port == 29500);
  CHECK(r.listen_fd == -1);
}

TEST_CASE("the variables of torchrun, srun and mpirun are understood") {
  const std::map<std::string, std::string> meeting = {{"MASTER_ADDR", "node7"}, {"MASTER_PORT", "1234"}};
  const std::map<std::string, std::string> torchrun = {{"RANK", "5"}, {"LOCAL_RANK", "1"}, {"WORLD_SIZE", "8"}};
  const std::map<std::string, std::string> srun = {{"SLURM_PROCID", "5"}, {"SLURM_LOCALID", "1"}, {"SLURM_NTASKS", "8"}};
  const std::map<std::string, std::string> mpirun = {
      {"OMPI_COMM_WORLD_RANK", "5"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "8"}};
  for (auto variables : {torchrun, srun, mpirun}) {
    variables.insert(meeting.begin(), meeting.end());
    const Rendezvous r = rendezvous_with(variables);
    CHECK(r.rank == 5);
    CHECK(r.local_rank == 1);
    CHECK(r.world_size == 8);
    CHECK(r.address == "node7");
    CHECK(r.port == 1234);
  }
}

TEST_CASE("torchrun's variables win where it was started inside of srun or mpirun") {
  const Rendezvous r = rendezvous_with({{"RANK", "3"},
                                        {"WORLD_SIZE", "4"},
                                        {"SLURM_PROCID", "0"},
                                        {"SLURM_NTASKS", "1"},
                                        {"OMPI_COMM_WORLD_RANK", "7"},
                                        {"VALBENCH_LISTEN_FD", "9"}});
  CHECK(r.rank == 3);
  CHECK(r.world_size == 4);
  CHECK(r.local_rank == 3);
  CHECK(r.listen_fd == 9);
}

TEST_CASE("a variable that is no number, and a rank outside of the world, are refused by name") {
  CHECK_THROWS_WITH(rendezvous_with({{"RANK", "one"}}), Contains("RANK=one is not a number"));
  CHECK_THROWS_WITH(rendezvous_with({{"SLURM_NTASKS", "4x"}}), Contains("SLURM_NTASKS=4x is not a number"));
  CHECK_THROWS_AS(rendezvous_with({{"MASTER_PORT", "99999999999"}}), InputError);
  CHECK_THROWS_WITH(rendezvous_with({{"RANK", "2"}, {"WORLD_SIZE", "2"}}),
                    Contains("rank 2 is outside a world of 2 ranks") && Contains("check RANK and WORLD_SIZE"));
  CHECK_THROWS_AS(rendezvous_with({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}), InputError);
  CHECK(rendezvous_with({{"RANK", ""}}).rank == 0);
}
