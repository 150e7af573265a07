// One training step with the batch already on the device, the work of the Python peer's step.py: forward, loss, backward, unscale, clip,
// SGD, EMA. Counters: images per second, and the host's time to issue a step (what must stay under the device's time).
//   bench_train_step --benchmark_filter=yolov5s/64
#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <benchmark/benchmark.h>

#include "base/clock.h"
#include "detect/detection_model.h"
#include "train/device.h"
#include "train/train_step.h"

namespace {
using namespace valbench;

Batch random_batch(int batch_size, int imgsz, c10::Device device) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(1);
  Batch batch;
  batch.images = at::randint(0, 256, {batch_size, 3, imgsz, imgsz}, generator, at::kByte).to(device);
  const int count = batch_size * 7;
  const at::Tensor image = at::randint(0, batch_size, {count, 1}, generator, at::kFloat);
  const at::Tensor cls = at::randint(0, 80, {count, 1}, generator, at::kFloat);
  const at::Tensor centre = at::rand({count, 2}, generator);
  const at::Tensor size = at::rand({count, 2}, generator) * 0.3 + 0.01;
  batch.targets = at::cat({image, cls, centre, size}, 1).to(device);
  return batch;
}

void train_step(benchmark::State& state, const std::string& model_name, int batch_size, int imgsz, bool cuda) {
  const c10::Device device(cuda ? c10::DeviceType::CUDA : c10::DeviceType::CPU, cuda ? 0 : -1);
  RunSpec spec;
  spec.model = model_name;
  spec.imgsz = imgsz;
  spec.batch_size = batch_size;
  spec.epochs = 100;
  spec.device = cuda ? DeviceKind::cuda : DeviceKind::cpu;
  spec.amp = cuda ? AmpMode::fp16 : AmpMode::off;
  const auto model = make_yolov5(model_name, 80, 0);
  const auto communicator = make_single_communicator();
  Tracer tracer;
  TrainStep step(spec, *model, *communicator, tracer, 1000, device);
  const Batch batch = random_batch(batch_size, imgsz, device);
  step.begin_epoch(0);
  std::int64_t index = 0;
  for (; index < (cuda ? 10 : 1); ++index) step.run(batch, index);
  synchronize(device);
  double host_s = 0;
  for (auto _ : state) {
    const std::int64_t begin_ns = now_ns();
    step.run(batch, index++);
    host_s += seconds_between(begin_ns, now_ns());
    if (!cuda || index % 10 == 0) synchronize(device);  // Let the host run ahead, as training does.
  }
  synchronize(device);
  const auto steps = static_cast<double>(state.iterations());
  state.counters["img/s"] = benchmark::Counter(steps * batch_size, benchmark::Counter::kIsRate);
  state.counters["host_ms"] = host_s / steps * 1e3;
  state.counters["peak_GiB"] = peak_memory_mib(device) / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  const bool cuda = at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
  for (const char* model : {"yolov5n", "yolov5s", "yolov5m", "yolov5l"}) {
    for (const int batch_size : {16, 64}) {
      const int imgsz = cuda ? 640 : 160;
      benchmark::RegisterBenchmark((std::string(model) + "/" + std::to_string(batch_size)).c_str(),
                                   [=](benchmark::State& state) { train_step(state, model, batch_size, imgsz, cuda); })
          ->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(2.0);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
