#include "validate/scorer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/cache_folder.h"
#include "detect/state_layout.h"

namespace valbench {
namespace {

struct NumberFormat {
  c10::ScalarType dtype;
  const char* name;
};

NumberFormat resolve(Precision precision, AmpMode amp) {
  if (precision == Precision::automatic) {
    precision = amp == AmpMode::off ? Precision::fp32 : amp == AmpMode::fp16 ? Precision::fp16 : Precision::bf16;
  }
  switch (precision) {
    case Precision::fp16: return {at::kHalf, "fp16"};
    case Precision::bf16: return {at::kBFloat16, "bf16"};
    default: return {at::kFloat, "fp32"};
  }
}

CacheMode cache_mode(const RunSpec& spec) {
  switch (spec.validation.cache) {
    case ValidationCache::none: return CacheMode::none;
    case ValidationCache::ram: return CacheMode::ram;
    default: return spec.cache;
  }
}

}  // namespace

ScoringPlan make_scoring_plan(const ValidationContext& context, const ValidationSpec& spec) {
  const NumberFormat format = resolve(spec.precision, context.spec.amp);
  ScoringPlan plan{.dtype = format.dtype, .precision = format.name};
  // Twice the per-rank training batch, on however many ranks validation runs: rect batches, and so the numbers, depend on it.
  plan.batch_size = spec.batch_size > 0 ? spec.batch_size : 2 * (context.spec.batch_size / context.spec.ranks);
  plan.batches = plan_validation_batches(*context.dataset, validation_subset(*context.dataset, spec), context.spec.imgsz,
                                         plan.batch_size, size_multiple(context.prototype), spec.shape);
  return plan;
}

ScoringPlan make_reference_plan(const ValidationContext& context) {
  ValidationSpec spec;
  spec.precision = Precision::fp32;
  return make_scoring_plan(context, spec);
}

SnapshotScorer::SnapshotScorer(const ValidationContext& context, const ScoringPlan& plan, std::vector<BatchPlan> batches)
    : dataset_(context.dataset),
      loader_life_(context.spec.validation.loader),
      batches_(std::move(batches)),
      model_(context.prototype.clone()) {
  model_->to(context.device, plan.dtype);
  flat_ = flatten_state(model_->state());
  const ValidationSpec& spec = context.spec.validation;
  const int workers = spec.workers > 0 ? spec.workers : context.spec.workers;
  loader_options_ = {.workers = workers,
                     .cache = {cache_mode(context.spec), user_cache_folder()},
                     .pin_memory = context.device.is_cuda(),
                     .compat = context.spec.compat};
  if (loader_life_ == LoaderLife::persistent) loader_ = make_loader();
  EvaluatorOptions options{.device = context.device, .dtype = plan.dtype, .stop = context.stop};
  options.nms.threads = score_threads(context.spec);
  evaluator_ = std::make_unique<Evaluator>(spec.loss ? context.loss : std::nullopt, std::move(options), context.tracer);
}

SnapshotScorer::~SnapshotScorer() = default;

void SnapshotScorer::load(const at::Tensor& state) {
  const c10::NoGradGuard no_gradients;
  flat_.copy_(state);
}

at::Tensor SnapshotScorer::empty_state() const { return at::empty(flat_.sizes(), flat_.options().dtype(at::kFloat)); }

std::unique_ptr<DataLoader> SnapshotScorer::make_loader() const { return make_validation_loader(dataset_, batches_, loader_options_); }

PartialScore SnapshotScorer::score() {
  if (loader_life_ == LoaderLife::persistent) return evaluator_->score(*model_, *loader_, batches_);
  const std::unique_ptr<DataLoader> loader = make_loader();
  return evaluator_->score(*model_, *loader, batches_);
}

}  // namespace valbench
