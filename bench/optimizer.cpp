// Clipping, SGD, zeroing and EMA over the flat buffers of one model: what an optimizer step costs beyond backward.
//   bench_optimizer --benchmark_filter=yolov5s
#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include "train/device.h"
#include "train/ema.h"
#include "train/sgd.h"

namespace {
using namespace valbench;

void optimizer_step(benchmark::State& state, const char* name, c10::Device device) {
  const c10::NoGradGuard no_gradients;
  const auto model = make_yolov5(name, 80, 0);
  model->to(device, at::kFloat);
  ParameterStore store(*model);
  Sgd sgd(store, 5e-4);
  Ema ema(store.state());
  const StepRates rates{.lr = {0.01, 0.01, 0.01}, .momentum = 0.937};
  synchronize(device);
  for (auto _ : state) {
    clip_gradient_norm(store.gradients(), 10.0);
    sgd.step(rates, std::nullopt);
    store.zero_gradients();
    ema.update(store.state());
    synchronize(device);
  }
  state.counters["parameters"] = static_cast<double>(store.parameters().numel());
  state.SetItemsProcessed(state.iterations() * store.parameters().numel());
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const c10::Device device = at::detail::getCUDAHooks().hasCUDA() ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
  for (const char* name : {"yolov5n", "yolov5s"}) {
    benchmark::RegisterBenchmark(name, [name, device](benchmark::State& state) { optimizer_step(state, name, device); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
