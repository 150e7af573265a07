// What recording a span costs the thread that is measured. Target: under 100 ns, two clock readings included.
#include <benchmark/benchmark.h>

#include "trace/tracer.h"

namespace {
using namespace valbench;

void clock_reading(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(now_ns());
}

void span_summed(benchmark::State& state) {
  Tracer tracer;
  std::int64_t step = 0;
  for (auto _ : state) const ScopedSpan span(tracer, Phase::train_step, step++);
}

void span_kept(benchmark::State& state) {
  // The capacity is used up during long runs; what is then measured counts a lost span, which costs no more.
  Tracer tracer(1 << 22);
  std::int64_t step = 0;
  for (auto _ : state) const ScopedSpan span(tracer, Phase::train_step, step++);
}

}  // namespace

BENCHMARK(clock_reading);
BENCHMARK(span_summed);
BENCHMARK(span_kept);
BENCHMARK_MAIN();
