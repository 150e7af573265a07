// Summing a flat gradient over two Gloo ranks on loopback, whole and in DDP's 25 MiB parts. Argument: MiB.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "comm/rendezvous.h"

namespace {
using namespace valbench;

constexpr std::int64_t kMiB = 1 << 20;

std::unique_ptr<Communicator> communicator;

void all_reduce(benchmark::State& state) {
  const std::int64_t part = state.range(1) * kMiB / 4;
  const at::Tensor gradient = at::zeros({state.range(0) * kMiB / 4});
  std::vector<std::unique_ptr<PendingCollective>> pending;
  for (auto _ : state) {
    for (const at::Tensor& bucket : gradient.split(part)) pending.push_back(communicator->all_reduce_sum(bucket));
    for (const auto& collective : pending) collective->wait();
    pending.clear();
  }
  communicator->take_events();
  state.SetBytesProcessed(state.iterations() * state.range(0) * kMiB);
}

}  // namespace

// Both ranks run the same fixed number of iterations, so that their collectives match.
BENCHMARK(all_reduce)->Args({7, 7})->Args({28, 28})->Args({28, 25})->Iterations(20)->UseRealTime()->Unit(benchmark::kMillisecond);

int main(int argc, char** argv) {
  if (std::getenv("RANK") == nullptr) {
    // The parent becomes rank 0; rank 1 is a fresh copy of this program without output.
    setenv("WORLD_SIZE", "2", 1);
    setenv("MASTER_ADDR", "127.0.0.1", 0);
    setenv("MASTER_PORT", "29541", 0);
    setenv("RANK", "1", 1);
    if (fork() == 0) {
      if (freopen("/dev/null", "w", stdout) == nullptr) return 1;
      execv("/proc/self/exe", argv);
      return 1;
    }
    setenv("RANK", "0", 1);
  }
  communicator = make_c10d_communicator(rendezvous_from_environment(), at::kCPU);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  communicator->barrier();
  const bool parent = communicator->rank() == 0;
  communicator.reset();
  if (parent) wait(nullptr);
  return 0;
}
