#include "validate/evaluator.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "base/error.h"
#include "detect/test_time_augmentation.h"
#include "metrics/matching.h"
#include "validate/native_boxes.h"

namespace valbench {
namespace {

/// Read from the device at once.
std::vector<BatchLoss> losses_of(const std::vector<at::Tensor>& batches, std::span<const BatchPlan> plan) {
  const at::Tensor items = at::stack(batches).to(at::kFloat).cpu();
  const float* values = items.const_data_ptr<float>();
  std::vector<BatchLoss> losses;
  for (std::size_t b = 0; b < plan.size(); ++b) losses.push_back({plan[b].index, {values[3 * b], values[3 * b + 1], values[3 * b + 2]}});
  return losses;
}

}  // namespace

Evaluator::Evaluator(std::optional<DetectionLoss> loss, EvaluatorOptions options, Tracer& tracer)
    : loss_(std::move(loss)), options_(std::move(options)), tracer_(tracer) {}

PartialScore Evaluator::score(DetectionModel& model, DataLoader& loader, std::span<const BatchPlan> plan,
                              const DetectionSink& sink, std::vector<UnmatchedBatch>* unmatched) {
  const c10::InferenceMode no_gradients;
  PartialScore score;
  std::vector<at::Tensor> loss_items;
  loader.start(0);
  for (const BatchPlan& expected : plan) {
    if (options_.stop.stop_requested()) throw Error("the validation was stopped before batch " + std::to_string(expected.index));
    const ScopedSpan batch_span(tracer_, Phase::val_batch, expected.index);
    std::optional<Batch> batch;
    {
      const ScopedSpan span(tracer_, Phase::val_data, expected.index);
      batch = loader.next();
    }
    if (!batch) throw Error("the validation loader ended before batch " + std::to_string(expected.index));
    at::Tensor images, targets;
    {
      const ScopedSpan span(tracer_, Phase::val_h2d, expected.index);
      const auto layout = options_.device.is_cuda() ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
      images = batch->images.to(options_.device, /*non_blocking=*/true).to(options_.dtype, false, false, layout).div_(255);
      if (loss_) targets = batch->targets.to(options_.device, /*non_blocking=*/true);
    }
    std::vector<at::Tensor> raw;
    at::Tensor decoded;
    {
      const ScopedSpan span(tracer_, Phase::val_forward, expected.index);
      if (options_.augment) {
        decoded = predict_augmented(model, images);
      } else {
        raw = model.forward(images, /*training=*/false);
        decoded = model.decode(raw);
      }
    }
    if (loss_) {
      const ScopedSpan span(tracer_, Phase::val_loss, expected.index);
      loss_items.push_back((*loss_)(raw, targets).items);
    }
    NmsResult nms;
    {
      const ScopedSpan span(tracer_, Phase::val_nms, expected.index);
      nms = non_maximum_suppression(decoded, options_.nms);
    }
    const ScopedSpan span(tracer_, Phase::val_match, expected.index);
    score.pixels += batch->images.size(0) * batch->images.size(2) * batch->images.size(3);
    UnmatchedBatch found{batch->targets, std::move(batch->geometry), static_cast<int>(batch->images.size(2)),
                         static_cast<int>(batch->images.size(3)), std::move(nms)};
    if (unmatched != nullptr) {
      unmatched->push_back(std::move(found));
    } else {
      match(std::move(found), score, sink);
    }
  }
  if (!loss_items.empty()) score.losses = losses_of(loss_items, plan);
  return score;
}

void Evaluator::match(UnmatchedBatch batch, PartialScore& score, const DetectionSink& sink) const {
  NmsResult& nms = batch.nms;
  std::vector<std::vector<Label>> labels(batch.geometry.size());
  const float* row = batch.targets.const_data_ptr<float>();
  for (std::int64_t i = 0; i < batch.targets.size(0); ++i, row += 6) {
    const auto image = static_cast<std::size_t>(row[0]);
    const float cls = options_.single_cls ? 0 : row[1];
    labels[image].push_back(native_label(cls, row[2], row[3], row[4], row[5], batch.height, batch.width, batch.geometry[image]));
  }
  for (std::size_t i = 0; i < batch.geometry.size(); ++i) {
    for (Detection& d : nms.images[i]) {
      scale_to_native(d.x1, d.y1, d.x2, d.y2, batch.geometry[i]);
      if (options_.single_cls) d.cls = 0;
    }
    match_image(batch.geometry[i].image, nms.images[i], labels[i], score.matches);
    if (sink) sink(batch.geometry[i].image, nms.images[i], labels[i]);
  }
  score.candidate_limit_hits += nms.candidate_limit_hits;
  score.detection_limit_hits += nms.detection_limit_hits;
}

}  // namespace valbench
