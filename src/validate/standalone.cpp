#include "validate/standalone.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>

#include "base/clock.h"
#include "base/error.h"
#include "comm/value_bytes.h"
#include "data/data_loader.h"
#include "detect/state_layout.h"
#include "trace/tracer.h"
#include "validate/batch_pictures.h"
#include "validate/evaluator.h"
#include "validate/shard.h"
#include "validate/stage_clock.h"

namespace valbench {
namespace {

/// What a rank found in its batches.
struct RankShare {
  PartialScore score;
  ConfusionMatrix confusion{0};
  std::vector<ImageDetections> detections;
  std::map<std::string, double> seconds;
};

EvaluatorOptions evaluator_options(const StandaloneContext& context) {
  const ValSpec& spec = context.spec;
  EvaluatorOptions options{.device = context.device, .dtype = spec.half ? at::kHalf : at::kFloat};
  options.nms.confidence = spec.conf_thres;
  options.nms.iou = spec.iou_thres;
  options.nms.max_detections = spec.max_det;
  options.nms.agnostic = spec.single_cls;
  options.nms.threads = spec.torch_threads;
  options.augment = spec.augment;
  options.single_cls = spec.single_cls;
  return options;
}

/// YOLOv5's first forward pass on a GPU, so that the timed ones load and choose no kernels.
void warm_up(const StandaloneContext& context) {
  if (!context.device.is_cuda()) return;
  const c10::InferenceMode no_gradients;
  const auto options = at::TensorOptions().device(context.device).dtype(context.spec.half ? at::kHalf : at::kFloat);
  context.model.decode(context.model.forward(at::zeros({1, 3, context.spec.imgsz, context.spec.imgsz}, options), false));
}

RankShare score_share(const StandaloneContext& context, const std::vector<BatchPlan>& plan, int classes) {
  const std::vector<BatchPlan> mine =
      share_of_batches(plan, ShardMode::batches, context.communicator.rank(), context.communicator.world_size());
  RankShare share;
  share.confusion = ConfusionMatrix(classes);
  const bool keep_all = context.spec.save_txt || context.spec.save_json;
  std::set<std::int64_t> pictured;
  if (context.spec.plots) {
    const std::vector<std::int64_t> images = pictured_images(plan);
    pictured.insert(images.begin(), images.end());
  }
  Tracer tracer;
  StageClock clock(context.device, [&](std::int64_t done) {
    if (context.progress) context.progress(done, static_cast<std::int64_t>(mine.size()));
  });
  tracer.add_listener(clock);
  Evaluator evaluator(std::nullopt, evaluator_options(context), tracer);
  const auto loader = make_validation_loader(context.dataset, mine, context.spec.workers, false, context.device.is_cuda());
  share.score = evaluator.score(context.model, *loader, mine,
                                [&](std::int64_t image, std::span<const Detection> detections, std::span<const Label> labels) {
                                  share.confusion.add_image(detections, labels);
                                  if (!keep_all && !pictured.contains(image)) return;
                                  share.detections.push_back({image, {detections.begin(), detections.end()}});
                                });
  share.seconds = clock.seconds();
  return share;
}

/// The slowest rank of every stage, on rank 0.
std::map<std::string, double> gather_seconds(Communicator& communicator, const std::map<std::string, double>& mine) {
  std::vector<double> values;
  for (const auto& [stage, seconds] : mine) values.push_back(seconds);
  std::map<std::string, double> slowest;
  for (const auto& bytes : communicator.gather_bytes(bytes_of(values), 0)) {
    const auto theirs = values_of<double>(bytes);
    std::size_t i = 0;
    for (const auto& [stage, seconds] : mine) slowest[stage] = std::max(slowest[stage], theirs.at(i++));
  }
  return slowest;
}

}  // namespace

void prepare_for_validation(DetectionModel& model, bool half, c10::Device device) {
  model.fuse();
  model.to(device, half ? at::kHalf : at::kFloat);
  if (device.is_cuda()) use_channels_last(model.state());
}

void check_classes(const ValSpec& spec, const DetectionModel& model, const YoloDataset& dataset) {
  if (spec.single_cls || model.classes() == dataset.classes) return;
  throw InputError(fmt::format("{} was trained on {} classes, but {} names {}. Give weights and data that belong together, or --single-cls "
                               "to ignore the classes",
                               spec.weights.string(), model.classes(), spec.data.string(), dataset.classes));
}

std::vector<BatchPlan> standalone_plan(const ValSpec& spec, const YoloDataset& dataset, const DetectionModel& model) {
  const int stride = size_multiple(model);
  return plan_validation_batches(dataset, {}, (spec.imgsz + stride - 1) / stride * stride, spec.batch_size, stride, spec.shape);
}

std::optional<StandaloneResult> validate_standalone(const StandaloneContext& context) {
  check_classes(context.spec, context.model, *context.dataset);
  Communicator& communicator = context.communicator;
  const auto plan = standalone_plan(context.spec, *context.dataset, context.model);
  const int classes = context.dataset->classes;
  warm_up(context);
  communicator.barrier();
  const std::int64_t begin_ns = now_ns();
  const RankShare share = score_share(context, plan, classes);
  const std::int64_t scored_ns = now_ns();
  StandaloneResult result;
  std::vector<PartialScore> parts;
  for (const auto& bytes : communicator.gather_bytes(pack_score(share.score), 0)) parts.push_back(unpack_score(bytes));
  result.confusion = gather_confusion(communicator, share.confusion);
  result.detections = gather_detections(communicator, plan, share.detections);
  result.seconds = gather_seconds(communicator, share.seconds);
  if (communicator.rank() != 0) return std::nullopt;

  const std::int64_t gathered_ns = now_ns();
  const PartialScore merged = merge_scores(parts);
  const MeanAveragePrecision map = mean_average_precision(merged.matches, context.spec.torch_threads, result.curves);
  result.metrics = summarize_score(merged, map);
  result.metrics.batch_size = context.spec.batch_size;
  result.metrics.precision_used = context.spec.half ? "fp16" : "fp32";
  result.names = context.dataset->names;
  result.candidate_limit_hits = merged.candidate_limit_hits;
  result.detection_limit_hits = merged.detection_limit_hits;
  result.input_h = plan.front().height;
  result.input_w = plan.front().width;
  const std::int64_t end_ns = now_ns();
  result.seconds["gather"] = seconds_between(scored_ns, gathered_ns);
  result.seconds["metrics"] = seconds_between(gathered_ns, end_ns);
  result.seconds["total"] = result.metrics.seconds = seconds_between(begin_ns, end_ns);
  return result;
}

}  // namespace valbench
