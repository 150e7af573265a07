#include "train/gpu_probe.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/util/Exception.h>
#include <cuda_runtime_api.h>

#include "base/error.h"
#include "train/device.h"

namespace valbench {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr int kLabelsPerImage = 16;

c10::CachingDeviceAllocator::Stat reserved(c10::Device device) {
  return c10::cuda::CUDACachingAllocator::getDeviceStats(device.index()).reserved_bytes[0];
}

}  // namespace

double free_gpu_mib(c10::Device device) {
  c10::cuda::CUDACachingAllocator::emptyCache();
  std::size_t free = 0, total = 0;
  if (cudaSetDevice(device.index()) != cudaSuccess || cudaMemGetInfo(&free, &total) != cudaSuccess) {
    throw Error(
        "the GPU does not say how much memory is free. Give a number with --batch-size, or as validation.batch_size, "
        "and no cache gpu");
  }
  return static_cast<double>(free) / kMiB;
}

std::optional<double> growth_while(c10::Device device, const std::function<void()>& work) {
  forget_gpu_memory(device);
  const auto before = reserved(device).current;
  try {
    work();
    synchronize(device);
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  }
  return static_cast<double>(reserved(device).peak - before) / kMiB;
}

void forget_gpu_memory(c10::Device device) {
  c10::cuda::CUDACachingAllocator::emptyCache();
  c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
}

Batch grey_batch(int images, int height, int width, int classes) {
  Batch batch;
  batch.images = at::full({images, 3, height, width}, 114, at::kByte);
  batch.targets = at::empty({std::int64_t{images} * kLabelsPerImage, 6}, at::kFloat);
  float* row = batch.targets.mutable_data_ptr<float>();
  for (int i = 0; i < images * kLabelsPerImage; ++i, row += 6) {
    const float place = (static_cast<float>(i % kLabelsPerImage) + 0.5F) / kLabelsPerImage;
    row[0] = static_cast<float>(i / kLabelsPerImage), row[1] = static_cast<float>(i % classes);
    row[2] = place, row[3] = 1 - place, row[4] = row[5] = 0.1F + place / 4;
  }
  for (int i = 0; i < images; ++i) batch.geometry.push_back({.image = i, .original_h = height, .original_w = width});
  return batch;
}

}  // namespace valbench
