#include "detect/nms_candidates.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace valbench {
namespace {

std::vector<bool> wanted_classes(const NmsOptions& options, int classes) {
  std::vector<bool> wanted(static_cast<std::size_t>(classes), options.classes.empty());
  for (const int c : options.classes) {
    if (c >= 0 && c < classes) wanted[static_cast<std::size_t>(c)] = true;
  }
  return wanted;
}

Detection corners(const float* row, float score, int cls) {
  const float half_w = row[2] / 2, half_h = row[3] / 2;
  return {row[0] - half_w, row[1] - half_h, row[0] + half_w, row[1] + half_h, score, static_cast<float>(cls)};
}

// (N, rows, classes): which scores are candidates.
at::Tensor candidate_mask(const at::Tensor& objectness, const at::Tensor& scores, const NmsOptions& options) {
  at::Tensor mask = (scores > options.confidence).logical_and((objectness > options.confidence).unsqueeze(2));
  const std::int64_t classes = scores.size(2);
  if (!options.multi_label && classes > 1) {
    mask = mask.logical_and(at::one_hot(scores.argmax(2), classes).to(at::kBool));
  }
  if (!options.classes.empty()) {
    at::Tensor wanted = at::zeros({classes}, at::kBool);
    for (const int c : options.classes) {
      if (c >= 0 && c < classes) wanted[c].fill_(true);
    }
    mask = mask.logical_and(wanted.to(mask.device()));
  }
  return mask;
}

}  // namespace

std::vector<Detection> scan_candidates(const float* rows, std::int64_t count, int classes, const NmsOptions& options) {
  const auto threshold = static_cast<float>(options.confidence);
  const bool multi_label = options.multi_label && classes > 1;
  const std::vector<bool> wanted = wanted_classes(options, classes);
  std::vector<Detection> candidates;
  for (const float* row = rows; count > 0; --count, row += 5 + classes) {
    const float objectness = row[4];
    if (!(objectness > threshold)) continue;
    if (multi_label) {
      for (int c = 0; c < classes; ++c) {
        const float score = row[5 + c] * objectness;
        if (score > threshold && wanted[static_cast<std::size_t>(c)]) candidates.push_back(corners(row, score, c));
      }
      continue;
    }
    // The first of equal scores: rounding of the product can tie what the class scores alone would not.
    int best = 0;
    for (int c = 1; c < classes; ++c) {
      const float score = row[5 + c] * objectness, top = row[5 + best] * objectness;
      if (score > top || (std::isnan(score) && !std::isnan(top))) best = c;  // NaN is the largest, as for argmax.
    }
    const float score = row[5 + best] * objectness;
    if (score > threshold && wanted[static_cast<std::size_t>(best)]) candidates.push_back(corners(row, score, best));
  }
  return candidates;
}

std::vector<std::vector<Detection>> gather_candidates(const at::Tensor& prediction, const NmsOptions& options) {
  const at::NoGradGuard no_grad;
  const at::Tensor objectness = prediction.select(2, 4);
  const at::Tensor scores = prediction.slice(2, 5) * objectness.unsqueeze(2);
  const at::Tensor found = candidate_mask(objectness, scores, options).nonzero();  // (k, 3) in candidate order
  const at::Tensor image = found.select(1, 0), row = found.select(1, 1), cls = found.select(1, 2);
  const at::Tensor boxes = prediction.index({image, row}).slice(1, 0, 4);
  // Corners in the dtype of the prediction, float32 from there on (§6.4).
  const at::Tensor half = boxes.slice(1, 2) / 2, centre = boxes.slice(1, 0, 2);
  const at::Tensor score = scores.index({image, row, cls}).to(at::kFloat);
  const at::Tensor packed = at::cat({(centre - half).to(at::kFloat), (centre + half).to(at::kFloat), score.unsqueeze(1),
                                     cls.to(at::kFloat).unsqueeze(1), image.to(at::kFloat).unsqueeze(1)},
                                    1)
                                .contiguous()
                                .cpu();
  std::vector<std::vector<Detection>> images(static_cast<std::size_t>(prediction.size(0)));
  const float* value = packed.const_data_ptr<float>();
  for (std::int64_t i = 0; i < packed.size(0); ++i, value += 7) {
    images[static_cast<std::size_t>(value[6])].push_back({value[0], value[1], value[2], value[3], value[4], value[5]});
  }
  return images;
}

}  // namespace valbench
