#include "launch/rank_environment.h"

#include <cstdlib>
#include <set>

namespace valbench {

std::vector<std::pair<std::string, std::string>> rank_environment(const RunSpec& spec, int rank,
                                                                  const RankEndpoints& endpoints) {
  std::vector<std::pair<std::string, std::string>> all = {
      {"RANK", std::to_string(rank)},
      {"LOCAL_RANK", std::to_string(rank)},
      {"WORLD_SIZE", std::to_string(spec.ranks)},
      {"LOCAL_WORLD_SIZE", std::to_string(spec.ranks)},
      {"MASTER_ADDR", "127.0.0.1"},
      {"MASTER_PORT", std::to_string(endpoints.port)},
      {"OMP_NUM_THREADS", std::to_string(spec.torch_threads)},
  };
  // NCCL refuses two ranks of one host on one GPU; with a host name each they pass for ranks of several hosts.
  if (std::set<int>(spec.device_ids.begin(), spec.device_ids.end()).size() < spec.device_ids.size()) {
    all.emplace_back("NCCL_HOSTID", "valbench-rank-" + std::to_string(rank));
  }
  if (rank == 0) {
    all.emplace_back("VALBENCH_LISTEN_FD", std::to_string(endpoints.listen_fd));
    all.emplace_back("VALBENCH_PROGRESS_FD", std::to_string(endpoints.progress_fd));
  }
  return all;
}

std::filesystem::path find_rank_program() {
  if (const char* other = std::getenv("VALBENCH_RANK_PROGRAM"); other != nullptr && *other != '\0') return other;
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "valbench-rank";
}

}  // namespace valbench
