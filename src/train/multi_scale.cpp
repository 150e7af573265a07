#include "train/multi_scale.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace valbench {

int draw_batch_size(std::uint64_t seed, int rank, int epoch, std::int64_t batch, int imgsz, int stride) {
  std::seed_seq numbers{seed & 0xffffffffU, seed >> 32, static_cast<std::uint64_t>(rank), static_cast<std::uint64_t>(epoch),
                        static_cast<std::uint64_t>(batch)};
  std::mt19937_64 random(numbers);
  // randrange(int(0.5 imgsz), int(1.5 imgsz) + stride) // stride * stride. The remainder's bias is below 1e-15, and unlike
  // std::uniform_int_distribution it is the same number in every standard library.
  const auto low = static_cast<std::uint64_t>(imgsz * 0.5), high = static_cast<std::uint64_t>(imgsz * 1.5) + static_cast<std::uint64_t>(stride);
  const auto drawn = static_cast<int>(low + random() % (high - low));
  return drawn / stride * stride;
}

at::Tensor resize_batch(const at::Tensor& images, int longer_side, int stride) {
  const std::int64_t height = images.size(2), width = images.size(3), longest = std::max(height, width);
  if (longer_side == longest) return images;
  const double factor = static_cast<double>(longer_side) / static_cast<double>(longest);
  const auto rounded = [&](std::int64_t side) {
    return static_cast<std::int64_t>(std::ceil(static_cast<double>(side) * factor / stride)) * stride;
  };
  return at::upsample_bilinear2d(images, {rounded(height), rounded(width)}, /*align_corners=*/false);
}

}  // namespace valbench
