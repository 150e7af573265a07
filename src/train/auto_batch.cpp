#include "train/auto_batch.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "comm/communicator.h"
#include "data/yolo_dataset.h"
#include "scenario/rank_roles.h"
#include "train/batch_fit.h"
#include "train/device.h"
#include "train/gpu_probe.h"
#include "train/prepare_model.h"
#include "train/train_step.h"

namespace valbench {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr int kStepsMeasured = 2;     // The second one finds the optimizer's state and the gradients in place.
constexpr double kLargestScale = 1.5;  // Of --multi-scale.

/// The largest size that training will see: measured without the draw of sizes.
int largest_size(const RunSpec& spec, const DetectionModel& model) {
  const int stride = size_multiple(model);
  const int size = spec.multi_scale ? static_cast<int>(spec.imgsz * kLargestScale) : spec.imgsz;
  return (size + stride - 1) / stride * stride;
}

/// Reserved memory at its highest while steps run; nothing where it did not suffice.
std::optional<double> measure_steps(TrainStep& step, const Batch& batch, c10::Device device) {
  using namespace c10::cuda::CUDACachingAllocator;
  emptyCache();
  resetPeakStats(device.index());
  try {
    for (int i = 0; i < kStepsMeasured; ++i) step.run(batch, i);
    synchronize(device);
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  }
  return static_cast<double>(getDeviceStats(device.index()).reserved_bytes[0].peak) / kMiB;
}

std::vector<BatchMemory> measure(RunSpec spec, int classes, c10::Device device) {
  spec.multi_scale = false;
  spec.batch_size = kFallbackBatch;
  const std::unique_ptr<DetectionModel> model = build_model(spec, classes);
  const std::unique_ptr<Communicator> communicator = make_single_communicator();
  Tracer tracer;
  TrainStep step(spec, *model, *communicator, tracer, kStepsMeasured, device);
  step.begin_epoch(0);
  return measure_batches(
      [&](int images) { return measure_steps(step, grey_batch(images, spec.imgsz, spec.imgsz, classes), device); });
}

}  // namespace

std::optional<double> measure_training(RunSpec spec, int classes, c10::Device device) {
  const int images = spec.batch_size / training_ranks(spec);
  spec.imgsz = largest_size(spec, *build_model(spec, classes));
  spec.multi_scale = false;
  spec.ranks = 1;
  spec.batch_size = images;
  return growth_while(device, [&] {
    const std::unique_ptr<DetectionModel> model = build_model(spec, classes);
    const std::unique_ptr<Communicator> communicator = make_single_communicator();
    Tracer tracer;
    TrainStep step(spec, *model, *communicator, tracer, kStepsMeasured, device);
    step.begin_epoch(0);
    const Batch batch = grey_batch(images, spec.imgsz, spec.imgsz, classes);
    for (int i = 0; i < kStepsMeasured; ++i) step.run(batch, i);
  });
}

void settle_batch_size(RunSpec& spec) {
  if (spec.batch_size >= 0) return;
  const int id = spec.device_ids.empty() ? 0 : spec.device_ids.front();
  const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(id));
  const int classes = spec.single_cls ? 1 : static_cast<int>(read_data_config(spec.data).names.size());
  const double free = free_gpu_mib(device);
  RunSpec measured = spec;
  measured.imgsz = largest_size(spec, *build_model(spec, classes));
  BatchChoice choice = choose_batch(measure(measured, classes, device), free);
  forget_gpu_memory(device);
  constexpr int kQuad = 4;
  if (spec.quad) choice.batch = std::max(kQuad, choice.batch / kQuad * kQuad);
  spec.batch_size = choice.batch;
  spec.notices.push_back(choice.sentence);
}

}  // namespace valbench
