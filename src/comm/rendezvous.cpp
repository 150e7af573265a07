#include "comm/rendezvous.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "base/error.h"

namespace valbench {
namespace {

/// The first of the variables that is set.
const char* first_set(std::initializer_list<const char*> names, const char*& found) {
  for (const char* name : names) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') {
      found = name;
      return value;
    }
  }
  return nullptr;
}

int number(std::initializer_list<const char*> names, int fallback) {
  const char* name = nullptr;
  const char* text = first_set(names, name);
  if (text == nullptr) return fallback;
  int value = 0;
  const char* end = text + std::strlen(text);
  if (const auto [stop, error] = std::from_chars(text, end, value); error != std::errc() || stop != end) {
    throw InputError(fmt::format("environment variable {}={} is not a number; set it as torchrun, srun or mpirun do", name, text));
  }
  return value;
}

}  // namespace

Rendezvous rendezvous_from_environment() {
  Rendezvous r;
  r.rank = number({"RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"}, 0);
  r.world_size = number({"WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"}, 1);
  r.local_rank = number({"LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK"}, r.rank);
  r.port = number({"MASTER_PORT"}, 29500);
  r.listen_fd = number({"VALBENCH_LISTEN_FD"}, -1);
  const char* name = nullptr;
  if (const char* address = first_set({"MASTER_ADDR"}, name); address != nullptr) r.address = address;
  if (r.rank < 0 || r.rank >= r.world_size) {
    throw InputError(fmt::format("rank {} is outside a world of {} ranks; check RANK and WORLD_SIZE", r.rank, r.world_size));
  }
  return r;
}

}  // namespace valbench
