#include "comm/rendezvous.h"

#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "comm/communicator.h"
#include "comm/local_address.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

using Variables = std::map<std::string, std::string>;

/// Takes away whatever a launcher may have left, and sets these.
void set_environment(const Variables& variables) {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name = std::string(*entry).substr(0, std::string(*entry).find('='));
    for (const char* part :
         {"RANK", "WORLD_SIZE", "MASTER_", "SLURM_", "OMPI_", "TORCHELASTIC_", "VALBENCH_LISTEN_FD"}) {
      if (name.find(part) != std::string::npos) names.push_back(name);
    }
  }
  for (const std::string& name : names) ::unsetenv(name.c_str());
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
}

Rendezvous rendezvous_with(const Variables& variables) {
  set_environment(variables);
  return rendezvous_from_environment();
}

Variables merged(Variables a, const Variables& b) {
  a.insert(b.begin(), b.end());
  return a;
}

// Recorded from the launchers; what says nothing of ranks is left out.

/// torchrun 2.11 --nnodes 2 --node-rank 1 --nproc-per-node 2 --master-addr 10.77.0.1 --master-port 29501, the last
/// rank.
const Variables kTorchrun = {{"GROUP_RANK", "1"},
                             {"GROUP_WORLD_SIZE", "2"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "2"},
                             {"MASTER_ADDR", "10.77.0.1"},
                             {"MASTER_PORT", "29501"},
                             {"RANK", "3"},
                             {"ROLE_RANK", "3"},
                             {"ROLE_WORLD_SIZE", "4"},
                             {"TORCHELASTIC_MAX_RESTARTS", "0"},
                             {"TORCHELASTIC_RESTART_COUNT", "0"},
                             {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                             {"WORLD_SIZE", "4"}};

/// Open MPI 4.1.4, mpirun -np 2, the last rank.
const Variables kMpirun = {{"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                           {"OMPI_COMM_WORLD_NODE_RANK", "1"},
                           {"OMPI_COMM_WORLD_RANK", "1"},
                           {"OMPI_COMM_WORLD_SIZE", "2"},
                           {"OMPI_UNIVERSE_SIZE", "2"},
                           {"PMIX_RANK", "1"}};

/// Slurm 22.05.8, srun -n 2 in a batch job of one node, the last rank.
const Variables kSrun = {{"SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1"},
                         {"SLURM_LOCALID", "1"},
                         {"SLURM_NNODES", "1"},
                         {"SLURM_NODEID", "0"},
                         {"SLURM_NPROCS", "2"},
                         {"SLURM_NTASKS", "2"},
                         {"SLURM_PROCID", "1"},
                         {"SLURM_STEP_ID", "1"},
                         {"SLURM_STEP_NUM_NODES", "1"},
                         {"SLURM_STEP_NUM_TASKS", "2"},
                         {"SLURM_TASKS_PER_NODE", "2"},
                         {"SLURM_STEP_TASKS_PER_NODE", "2"}};

/// The batch script itself of a job with --ntasks 2.
const Variables kBatchScript = {{"SLURM_GTIDS", "0"},  {"SLURM_LOCALID", "0"},       {"SLURM_NNODES", "1"},
                                {"SLURM_NODEID", "0"}, {"SLURM_NPROCS", "2"},        {"SLURM_NTASKS", "2"},
                                {"SLURM_PROCID", "0"}, {"SLURM_TASKS_PER_NODE", "2"}};

/// What mpirun's ranks inherit from its daemon when it runs in a batch script: mpirun starts that with srun.
const Variables kMpirunDaemon = {
    {"SLURM_LOCALID", "0"}, {"SLURM_NTASKS", "1"},         {"SLURM_NTASKS_PER_NODE", "1"},
    {"SLURM_PROCID", "0"},  {"SLURM_STEP_ID", "0"},        {"SLURM_STEP_NUM_NODES", "1"},
    {"SLURM_STEPID", "0"},  {"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_STEP_TASKS_PER_NODE", "1"}};

void check_place(const Rendezvous& r, int rank, int world_size, int local_rank) {
  CHECK(r.rank == rank);
  CHECK(r.world_size == world_size);
  CHECK(r.local_rank == local_rank);
}

/// A store without ranks.
class FakeStore final : public KeyStore {
 public:
  explicit FakeStore(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  void set(const std::string& key, const std::string& value) override { values_[key] = value; }
  std::optional<std::string> look_up(const std::string& key) override { return values_.at(key); }
  std::string wait_for(const std::string& key) override { return values_.at(key); }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace

TEST_CASE("a program started by hand is one rank alone, also in a batch script of Slurm") {
  for (const Variables& variables : {Variables{}, kBatchScript}) {
    const Rendezvous r = rendezvous_with(variables);
    check_place(r, 0, 1, 0);
    CHECK(r.address == "127.0.0.1");
    CHECK(r.port == 29500);
    CHECK(r.listen_fd == -1);
    CHECK_FALSE(agent_store_prefix().has_value());
  }
}

TEST_CASE("what torchrun, mpirun and srun set is understood") {
  const Rendezvous torchrun = rendezvous_with(kTorchrun);
  check_place(torchrun, 3, 4, 1);
  CHECK(torchrun.address == "10.77.0.1");
  CHECK(torchrun.port == 29501);
  for (const Variables& variables : {kMpirun, kSrun}) {
    const Rendezvous alone = rendezvous_with(variables);
    check_place(alone, 1, 2, 1);
    CHECK(alone.address == "127.0.0.1");
    CHECK(rendezvous_with(merged(variables, {{"MASTER_ADDR", "node7"}})).address == "node7");
  }
}

TEST_CASE("of launchers inside of each other, the innermost says which rank this is") {
  check_place(rendezvous_with(merged(kMpirun, kMpirunDaemon)), 1, 2, 1);
  check_place(rendezvous_with(merged(kTorchrun, kSrun)), 3, 4, 1);
  check_place(rendezvous_with(merged(kTorchrun, kMpirun)), 3, 4, 1);
  check_place(rendezvous_with(merged(kSrun, kBatchScript)), 1, 2, 1);
}

TEST_CASE("torchrun's agent has opened the store already, and each attempt has keys of its own") {
  set_environment(kTorchrun);
  CHECK(agent_store_prefix() == "attempt/0");
  ::setenv("TORCHELASTIC_RESTART_COUNT", "2", 1);
  CHECK(agent_store_prefix() == "attempt/2");
}

TEST_CASE("a variable that is no number, and a rank outside of the world, are refused by name") {
  CHECK_THROWS_WITH(rendezvous_with({{"RANK", "one"}}), Contains("RANK=one is not a number"));
  Variables srun = kSrun;
  srun["SLURM_STEP_NUM_TASKS"] = "4x";
  CHECK_THROWS_WITH(rendezvous_with(srun), Contains("SLURM_STEP_NUM_TASKS=4x is not a number"));
  CHECK_THROWS_AS(rendezvous_with({{"MASTER_PORT", "99999999999"}}), InputError);
  CHECK_THROWS_WITH(rendezvous_with({{"MASTER_PORT", "65536"}}), Contains("MASTER_PORT=65536 is no port"));
  CHECK_THROWS_WITH(rendezvous_with({{"RANK", "2"}, {"WORLD_SIZE", "2"}}),
                    Contains("rank 2 is outside a world of 2 ranks") && Contains("check RANK and WORLD_SIZE"));
  CHECK_THROWS_AS(rendezvous_with({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}), InputError);
  CHECK(rendezvous_with({{"RANK", ""}}).rank == 0);
}

TEST_CASE("a rank without a world, a world without a rank, and several hosts without MASTER_ADDR are refused by name") {
  CHECK_THROWS_WITH(rendezvous_with({{"RANK", "1"}}), Contains("WORLD_SIZE is not set, but RANK is"));
  CHECK_THROWS_WITH(rendezvous_with({{"WORLD_SIZE", "2"}}), Contains("RANK is not set, but WORLD_SIZE is"));
  Variables torchrun = kTorchrun, mpirun = kMpirun, srun = kSrun;
  torchrun.erase("MASTER_ADDR");
  CHECK_THROWS_WITH(rendezvous_with(torchrun), Contains("MASTER_ADDR is not set, and the 4 ranks of torchrun") &&
                                                   Contains("LOCAL_WORLD_SIZE=2") && Contains("rank 0's host"));
  mpirun["OMPI_COMM_WORLD_LOCAL_SIZE"] = "1";
  CHECK_THROWS_WITH(rendezvous_with(mpirun), Contains("MASTER_ADDR is not set, and the 2 ranks of mpirun"));
  srun["SLURM_STEP_NUM_TASKS"] = "4", srun["SLURM_STEP_TASKS_PER_NODE"] = "2(x2)";
  CHECK_THROWS_WITH(rendezvous_with(srun),
                    Contains("the 4 ranks of srun") && Contains("SLURM_STEP_TASKS_PER_NODE=2(x2)"));
  CHECK(rendezvous_with(merged(srun, {{"MASTER_ADDR", "node7"}})).world_size == 4);
}

TEST_CASE("a GPU is chosen by the rank's place on its host, and one that the spec does not have is refused") {
  CHECK(gpu_of_rank({}, 3) == 3);
  CHECK(gpu_of_rank({0, 1}, 1) == 1);
  CHECK(gpu_of_rank({6, 2}, 0) == 6);
  CHECK_THROWS_WITH(gpu_of_rank({0, 1}, 2), Contains("GPUs for 2 ranks of a host") && Contains("rank number 2"));
}

TEST_CASE("the address towards this host is its own, and a name that does not resolve is refused") {
  CHECK(address_towards("127.0.0.1", 29500) == "127.0.0.1");
  CHECK(is_loopback(address_towards("localhost", 29500)));
  CHECK(is_loopback("127.0.1.1"));
  CHECK_FALSE(is_loopback("10.0.0.1"));
  CHECK_THROWS_AS(address_towards("no_such_host.invalid", 29500), InputError);
  CHECK_THROWS_WITH(address_towards("no_such_host.invalid", 29500),
                    Contains("MASTER_ADDR=no_such_host.invalid cannot be resolved"));
}

TEST_CASE("a rank that meets the others over its own loopback address shows them another one, unless all do") {
  Rendezvous r;
  r.world_size = 2, r.port = 29500;
  FakeStore alone(Variables{{"address/1", "127.0.0.1"}});
  CHECK(agree_on_address(r, "127.0.1.1", alone) == "127.0.1.1");
  FakeStore apart(Variables{{"address/1", "10.77.0.2"}});
  CHECK(agree_on_address(r, "10.77.0.1", apart) == "10.77.0.1");
  CHECK(apart.look_up("address/0") == "10.77.0.1");
  // It asks for the way to the other rank, which leads nowhere here.
  FakeStore lost(Variables{{"address/1", "no_such_host.invalid"}});
  CHECK_THROWS_WITH(agree_on_address(r, "127.0.1.1", lost), Contains("no_such_host.invalid"));
}
