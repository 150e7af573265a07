#include <dlfcn.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "launch/rank_environment.h"
#include "main/commands/commands.h"

namespace valbench {
namespace {

constexpr int kNoLibrary = 255, kNoInit = 254;  // Exit codes of the child above any number of GPUs.

/// cuInit and cuDeviceGetCount of libcuda.so.1: both take and return plain integers.
int count_gpus() {
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return kNoLibrary;
  const auto init = reinterpret_cast<int (*)(unsigned)>(::dlsym(library, "cuInit"));
  const auto count = reinterpret_cast<int (*)(int*)>(::dlsym(library, "cuDeviceGetCount"));
  int gpus = 0;
  if (init == nullptr || count == nullptr || init(0) != 0 || count(&gpus) != 0) return kNoInit;
  return std::min(gpus, 250);
}

}  // namespace

Machine find_machine() {
  Machine machine;
  cpu_set_t allowed;
  machine.cores = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(count_gpus());
  int status = 0;
  const bool ended = child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status);
  const int answer = ended ? WEXITSTATUS(status) : kNoInit;
  if (answer < kNoInit) machine.gpus = answer;
  if (answer == kNoLibrary) {
    machine.gpu_note = "libcuda.so.1 is not installed (no NVIDIA driver)";
  } else if (machine.gpus == 0) {
    machine.gpu_note = "the NVIDIA driver reports no GPU";
  }
  return machine;
}

std::filesystem::path checked_rank_program() {
  const auto program = find_rank_program();
  if (::access(program.c_str(), X_OK) == 0) return program;
  throw Error(program.string() + " is missing or cannot be run: no training without it. Fix: ./valbench setup");
}

}  // namespace valbench
