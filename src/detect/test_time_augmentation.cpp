#include "detect/test_time_augmentation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

namespace valbench {
namespace {

constexpr double kScales[] = {1, 0.83, 0.67};
constexpr int kMirrored = 1;        // Index into kScales.
constexpr double kGrey = 0.447;     // About the mean of ImageNet.
constexpr std::int64_t kWidthDim = 3;

std::int64_t rows_of(const at::Tensor& level) { return level.size(1) * level.size(2) * level.size(3); }

std::int64_t padded_side(std::int64_t side, double scale, int stride) {
  return static_cast<std::int64_t>(std::ceil(static_cast<double>(side) * scale / stride)) * stride;
}

}  // namespace

at::Tensor scaled_for_augmentation(const at::Tensor& images, double scale, int stride) {
  if (scale == 1) return images;
  const std::int64_t h = images.size(2), w = images.size(3);
  const auto scaled_h = static_cast<std::int64_t>(static_cast<double>(h) * scale);
  const auto scaled_w = static_cast<std::int64_t>(static_cast<double>(w) * scale);
  const at::Tensor scaled = at::upsample_bilinear2d(images, {scaled_h, scaled_w}, /*align_corners=*/false);
  return at::constant_pad_nd(
      scaled, {0, padded_side(w, scale, stride) - scaled_w, 0, padded_side(h, scale, stride) - scaled_h}, kGrey);
}

at::Tensor predict_augmented(DetectionModel& model, const at::Tensor& images) {
  const at::NoGradGuard no_gradients;
  const int stride = largest_stride(model);
  std::vector<at::Tensor> parts;
  for (int i = 0; i < static_cast<int>(std::size(kScales)); ++i) {
    const at::Tensor input = i == kMirrored ? images.flip({kWidthDim}) : images;
    const auto raw = model.forward(scaled_for_augmentation(input, kScales[i], stride), /*training=*/false);
    at::Tensor decoded = model.decode(raw);
    decoded.narrow(2, 0, 4).div_(kScales[i]);
    if (i == kMirrored) {
      at::Tensor x = decoded.select(2, 0);
      x.neg_().add_(images.size(kWidthDim));
    }
    const std::int64_t rows = decoded.size(1);
    if (i == 0) decoded = decoded.narrow(1, 0, rows - rows_of(raw.back()));
    if (i + 1 == static_cast<int>(std::size(kScales))) {
      decoded = decoded.narrow(1, rows_of(raw.front()), rows - rows_of(raw.front()));
    }
    parts.push_back(decoded);
  }
  return at::cat(parts, 1);
}

}  // namespace valbench
