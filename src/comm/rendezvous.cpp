#include "comm/rendezvous.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <sstream>

#include "base/error.h"

namespace valbench {
namespace {

/// The variables that one kind of launcher gives its ranks.
struct Engine {
  const char* started_by;
  const char* mark;  ///< Set for its ranks and nobody else.
  const char *rank, *world_size, *local_rank;
  const char* ranks_here;  ///< Equal to world_size where all ranks are on one host.
};

// The innermost comes first. mpirun starts its daemons with srun inside of a Slurm job, and its ranks inherit
// SLURM_PROCID=0 from them; a batch script has SLURM_PROCID and SLURM_NTASKS as well but is no rank, and no step.
constexpr Engine kEngines[] = {
    {"torchrun", "RANK", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    {"torchrun", "WORLD_SIZE", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
     "SLURM_STEP_TASKS_PER_NODE"},
};

/// Nothing when it is not set, or empty.
std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

std::optional<int> number(const char* name) {
  const auto text = variable(name);
  if (!text) return std::nullopt;
  int value = 0;
  const char* end = text->data() + text->size();
  if (const auto [stop, error] = std::from_chars(text->data(), end, value); error != std::errc() || stop != end) {
    throw InputError(
        fmt::format("environment variable {}={} is not a number; set it as torchrun, srun or mpirun do", name, *text));
  }
  return value;
}

int needed_number(const char* name, const Engine& engine) {
  if (const auto value = number(name)) return *value;
  throw InputError(fmt::format("environment variable {} is not set, but {} is; set both as {} does, or neither", name,
                               engine.mark, engine.started_by));
}

void read_place(const Engine& engine, Rendezvous& r) {
  r.rank = needed_number(engine.rank, engine);
  r.world_size = needed_number(engine.world_size, engine);
  r.local_rank = number(engine.local_rank).value_or(r.rank);
  if (r.rank < 0 || r.rank >= r.world_size) {
    throw InputError(fmt::format("rank {} is outside a world of {} ranks; check {} and {}", r.rank, r.world_size,
                                 engine.rank, engine.world_size));
  }
  if (r.world_size > 1 && !variable("MASTER_ADDR") && variable(engine.ranks_here) != variable(engine.world_size)) {
    throw InputError(fmt::format(
        "MASTER_ADDR is not set, and the {} ranks of {} are not known to be on one host ({}={}); set it to the name "
        "or address of rank 0's host",
        r.world_size, engine.started_by, engine.ranks_here, variable(engine.ranks_here).value_or("")));
  }
}

}  // namespace

Rendezvous rendezvous_from_environment() {
  constexpr int kLastPort = 65535;
  Rendezvous r;
  r.port = number("MASTER_PORT").value_or(29500);
  if (r.port < 1 || r.port > kLastPort) {
    throw InputError(
        fmt::format("environment variable MASTER_PORT={} is no port; ports are 1 to {}", r.port, kLastPort));
  }
  for (const Engine& engine : kEngines) {
    if (!variable(engine.mark)) continue;
    read_place(engine, r);
    break;
  }
  r.listen_fd = number("VALBENCH_LISTEN_FD").value_or(-1);
  r.address = variable("MASTER_ADDR").value_or(r.address);
  return r;
}

std::optional<std::string> agent_store_prefix() {
  if (variable("TORCHELASTIC_USE_AGENT_STORE") != "True") return std::nullopt;
  return "attempt/" + variable("TORCHELASTIC_RESTART_COUNT").value_or("0");
}

std::vector<std::string> gloo_interfaces() {
  std::istringstream text(variable("GLOO_SOCKET_IFNAME").value_or(""));
  std::vector<std::string> names;
  for (std::string name; std::getline(text, name, ',');) names.push_back(name);
  return names;
}

int gpu_of_rank(const std::vector<int>& device_ids, int local_rank) {
  if (device_ids.empty()) return local_rank;
  if (const auto place = static_cast<std::size_t>(local_rank); place < device_ids.size()) return device_ids[place];
  throw InputError(fmt::format(
      "the spec has GPUs for {} ranks of a host, and this is the host's rank number {}, from 0; start as many on "
      "every host, or plan with another --hosts",
      device_ids.size(), local_rank));
}

}  // namespace valbench
