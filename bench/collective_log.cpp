// What the collective checker costs: a collective that does nothing, bare and watched; the watcher's publication; and two Gloo ranks on
// loopback that sum 64 KiB, bare and with the whole checker at work.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "comm/collective_log.h"
#include "comm/collective_watch.h"

namespace {
using namespace valbench;

constexpr int kPort = 29551;

std::unique_ptr<Communicator> logged(std::shared_ptr<CollectiveLog>& log) {
  log = std::make_shared<CollectiveLog>("world", std::vector<int>{0, 1}, std::make_shared<ProcessProgress>());
  return make_watched_communicator(make_single_communicator(), log, {});
}

void all_reduce(benchmark::State& state, Communicator& communicator, std::int64_t elements) {
  const at::Tensor tensor = at::zeros({elements});
  for (auto _ : state) communicator.all_reduce_sum(tensor)->wait();
  communicator.take_events();
}

void bare_call(benchmark::State& state) { all_reduce(state, *make_single_communicator(), 16); }

void logged_call(benchmark::State& state) {
  std::shared_ptr<CollectiveLog> log;
  all_reduce(state, *logged(log), 16);
}

void publication(benchmark::State& state) {
  std::shared_ptr<CollectiveLog> log;
  const auto communicator = logged(log);
  for (int i = 0; i < 2000; ++i) communicator->barrier();
  std::size_t bytes = 0;
  for (auto _ : state) bytes = rank_status_to_json({.groups = {log->status()}}).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}

std::unique_ptr<Communicator> bare, watched;

void bare_ranks(benchmark::State& state) { all_reduce(state, *bare, 16 << 10); }
void watched_ranks(benchmark::State& state) { all_reduce(state, *watched, 16 << 10); }

}  // namespace

BENCHMARK(bare_call);
BENCHMARK(logged_call);
BENCHMARK(publication);

int main(int argc, char** argv) {
  // Before LibTorch has started a thread, so a plain fork is enough. Rank 1 keeps quiet.
  const bool parent = fork() != 0;
  if (!parent && freopen("/dev/null", "w", stdout) == nullptr) return 1;
  const int rank = parent ? 0 : 1;
  bare = make_c10d_communicator({.rank = rank, .world_size = 2, .port = kPort}, at::kCPU);
  const Rendezvous second{.rank = rank, .world_size = 2, .port = kPort + 1};
  auto inner = make_c10d_communicator(second, at::kCPU);
  CollectiveWatch watch(second, 120, [](const std::string& what) { std::fprintf(stderr, "%s\n", what.c_str()); });
  watched = watch.watched(std::move(inner));
  // Both ranks run the same fixed number of iterations, so that their collectives match.
  using Function = void (*)(benchmark::State&);
  for (const auto& [name, function] :
       {std::pair<const char*, Function>{"bare_ranks", bare_ranks}, std::pair<const char*, Function>{"watched_ranks", watched_ranks}}) {
    benchmark::RegisterBenchmark(name, function)->Iterations(2000)->Repetitions(7)->UseRealTime()->Unit(benchmark::kMicrosecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  watched->barrier();
  watched.reset();
  bare.reset();
  if (parent) wait(nullptr);
  return 0;
}
