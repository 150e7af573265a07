// Summing a flat gradient over two Gloo ranks on loopback, whole and in DDP's 25 MiB parts. Argument: MiB.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "comm/communicator.h"

namespace {
using namespace valbench;

constexpr std::int64_t kMiB = 1 << 20;
constexpr int kPort = 29541;

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
  // Before LibTorch has started a thread, so a plain fork is enough. Rank 1 keeps quiet.
  const bool parent = fork() != 0;
  if (!parent && freopen("/dev/null", "w", stdout) == nullptr) return 1;
  communicator = make_c10d_communicator({.rank = parent ? 0 : 1, .world_size = 2, .port = kPort}, at::kCPU);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  communicator->barrier();
  communicator.reset();
  if (parent) wait(nullptr);
  return 0;
}
