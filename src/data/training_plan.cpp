#include "data/training_plan.h"

#include <algorithm>

#include "data/image_weights.h"
#include "data/sampler.h"
#include "data/yolo_dataset.h"

namespace valbench {
namespace {

constexpr std::size_t kQuad = 4;

// YOLOv5's workers ask for the second epoch's order before the sampler hears of it: epochs 0, 1, 2, 3 use the orders 0,
// 0, 1, 2. A single process has no such sampler.
int order_of_epoch(int epoch, int world_size) { return world_size > 1 ? std::max(0, epoch - 1) : epoch; }

std::vector<BatchPlan> cut_into_batches(const std::vector<std::int64_t>& order, const TrainingPlanOptions& options) {
  std::vector<BatchPlan> plans;
  const auto batch_size = static_cast<std::size_t>(options.batch_size);
  for (std::size_t begin = 0; begin < order.size(); begin += batch_size) {
    const std::size_t end = std::min(order.size(), begin + batch_size);
    BatchPlan plan;
    plan.images.assign(order.begin() + static_cast<std::ptrdiff_t>(begin),
                       order.begin() + static_cast<std::ptrdiff_t>(end));
    plan.imgsz = plan.height = plan.width = options.imgsz;
    plans.push_back(std::move(plan));
  }
  return plans;
}

// Four images make one: what is left over is dropped, under head with its whole batch.
void keep_whole_quads(std::vector<BatchPlan>& plans, const TrainingPlanOptions& options) {
  const auto full = static_cast<std::size_t>(options.batch_size);
  if (options.compat == Compat::head)
    std::erase_if(plans, [&](const BatchPlan& plan) { return plan.images.size() < full; });
  for (BatchPlan& plan : plans) plan.images.resize(plan.images.size() / kQuad * kQuad);
  std::erase_if(plans, [](const BatchPlan& plan) { return plan.images.empty(); });
}

// Batches of different shapes cannot be cut across ranks: each is dealt whole, by wrap-around so that all have as many.
// What quad leaves over goes before that, or one rank alone would lose a batch.
std::vector<BatchPlan> rect_batches(const YoloDataset& dataset, const TrainingPlanOptions& options) {
  std::vector<BatchPlan> all = plan_validation_batches(dataset, {}, options.imgsz, options.batch_size,
                                                       options.stride, BatchShape::rect, 0);
  if (options.quad) keep_whole_quads(all, options);
  const auto world = static_cast<std::size_t>(options.world_size);
  const std::size_t padded = (all.size() + world - 1) / world * world;
  std::vector<BatchPlan> mine;
  for (std::size_t i = static_cast<std::size_t>(options.rank); i < padded; i += world)
    mine.push_back(all[i % all.size()]);
  return mine;
}

}  // namespace

TrainingPlan plan_training_epoch(const YoloDataset& dataset, const TrainingPlanOptions& options, int epoch,
                                 const std::vector<double>& class_map) {
  const auto count = static_cast<std::int64_t>(dataset.images.size());
  const int order_epoch = order_of_epoch(epoch, options.world_size);
  TrainingPlan plan;
  if (options.rect) {
    plan.batches = rect_batches(dataset, options);
  } else if (options.image_weights) {
    constexpr std::uint64_t kItem = std::uint64_t{1} << 62;  // no image has this number
    SampleRandom random(options.seed, static_cast<std::uint64_t>(epoch), kItem);
    plan.partners = draw_by_weight(image_weights(dataset, class_map), random);
    std::vector<std::int64_t> order = training_order(count, 0, 1, options.seed, epoch);
    for (std::int64_t& image : order) image = plan.partners[static_cast<std::size_t>(image)];
    plan.batches = cut_into_batches(order, options);
  } else if (options.compat == Compat::head && options.world_size > 1) {
    plan.partners = fixed_share(count, options.rank, options.world_size);
    plan.batches = cut_into_batches(
        share_order(plan.partners, (count + options.world_size - 1) / options.world_size, options.seed, order_epoch),
        options);
  } else {
    plan.batches =
        cut_into_batches(training_order(count, options.rank, options.world_size, options.seed, order_epoch), options);
  }
  if (options.quad && !options.rect) keep_whole_quads(plan.batches, options);
  for (std::size_t i = 0; i < plan.batches.size(); ++i) plan.batches[i].index = static_cast<std::int64_t>(i);
  return plan;
}

}  // namespace valbench
