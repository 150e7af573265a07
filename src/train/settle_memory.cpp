#include "train/settle_memory.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "scenario/rank_roles.h"
#include "train/auto_batch.h"
#include "train/gpu_probe.h"
#include "validate/evaluator.h"

namespace valbench {
namespace {

/// One batch, in every pass.
class OneBatchLoader final : public DataLoader {
 public:
  explicit OneBatchLoader(Batch batch) : batch_(std::move(batch)) {}
  void start(int) override { handed_out_ = false; }
  std::optional<Batch> next() override {
    return std::exchange(handed_out_, true) ? std::nullopt : std::optional(batch_);
  }
  std::size_t batches() const override { return 1; }

 private:
  Batch batch_;
  bool handed_out_ = false;
};

/// The evaluator's own way through the largest batch of the plan that batches of this size give.
std::optional<double> measure_scoring(ValidationContext context, int batch) {
  context.memory.largest_batch = batch;
  const ValidationSpec& spec = context.spec.validation;
  const ScoringPlan plan = make_scoring_plan(context, spec);
  const BatchPlan& largest =
      *std::max_element(plan.batches.begin(), plan.batches.end(), [](const BatchPlan& a, const BatchPlan& b) {
        return bytes_on_device({&a, 1}) < bytes_on_device({&b, 1});
      });
  return growth_while(context.device, [&] {
    const std::unique_ptr<DetectionModel> model = context.prototype.clone();
    model->to(context.device, plan.dtype);
    Tracer tracer;
    EvaluatorOptions options{.device = context.device, .dtype = plan.dtype};
    options.nms.threads = score_threads(context.spec);
    Evaluator evaluator(spec.loss ? context.loss : std::nullopt, std::move(options), tracer);
    OneBatchLoader loader(
        grey_batch(static_cast<int>(largest.images.size()), largest.height, largest.width, model->classes()));
    evaluator.score(*model, loader, {&largest, 1});
  });
}

/// Will this rank score batches? Rank 0 always does, if only when it checks what others scored.
bool scores(const ValidationContext& context, const Communicator& world) {
  const RunSpec& spec = context.spec;
  if (!context.dataset) return false;
  return training_ranks(spec) == spec.ranks || world.rank() >= training_ranks(spec) || spec.verify != VerifyMode::none;
}

int ranks_on(const RunSpec& spec, c10::Device device) {
  return std::max(1, static_cast<int>(std::count(spec.device_ids.begin(), spec.device_ids.end(), device.index())));
}

BatchFit fit_of_rank(const ValidationContext& context, double budget_mib) {
  const auto images = static_cast<std::int64_t>(validation_subset(*context.dataset, context.spec.validation).size());
  return largest_batch(images, budget_mib, [&](int batch) { return measure_scoring(context, batch); });
}

}  // namespace

ValidationMemory settle_validation_memory(const ValidationContext& context) {
  const RunSpec& spec = context.spec;
  const ValidationSpec& validation = spec.validation;
  const bool caches = validation.cache == ValidationCache::gpu;
  ValidationMemory memory;
  if (!validates(validation.placement) || (!validation.batch_max && !caches)) return memory;
  if (!context.device.is_cuda())
    throw InputError("validation.batch_size max and validation.cache gpu need a GPU, and this rank runs on the CPU");
  Communicator& world = context.world != nullptr ? *context.world : context.communicator;
  forget_gpu_memory(context.device);
  world.barrier();  // Whoever shares the GPU holds what it holds during training.
  const double free = free_gpu_mib(context.device);
  world.barrier();  // Nobody tries anything out before all have asked.
  const int ranks = ranks_on(spec, context.device);
  const bool scoring = scores(context, world);
  double training = 0;
  if (validation.batch_max && scoring && validates_beside_training(validation.placement)) {
    training = measure_training(spec, context.prototype.classes(), context.device).value_or(free);
  }
  const MemoryShares shares = share_memory(free, ranks, caches, training);
  if (caches) memory.cache_bytes = static_cast<std::int64_t>(shares.cache_mib * 1024 * 1024);
  if (!validation.batch_max) return memory;
  const SmallestFit smallest =
      smallest_fit(world, scoring ? std::optional(fit_of_rank(context, shares.scoring_mib)) : std::nullopt);
  const auto images =
      context.dataset ? static_cast<std::int64_t>(validation_subset(*context.dataset, validation).size()) : 0;
  const std::string sentence = describe_fit(smallest, images);
  if (world.rank() == 0) memory.warnings->push_back(sentence);
  memory.largest_batch = smallest.fit.batch;
  forget_gpu_memory(context.device);
  return memory;
}

}  // namespace valbench
