#include "validate/scorer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/cache_folder.h"
#include "base/error.h"
#include "detect/state_layout.h"
#include "validate/device_batches.h"

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

/// Twice the per-rank training batch where the spec gives none, on however many ranks validation runs: rect batches,
/// and so the numbers, depend on it.
int batch_size_of(const ValidationContext& context, const ValidationSpec& spec) {
  if (spec.batch_max) {
    if (context.memory.largest_batch < 1) throw Error("batch_size max: nobody has measured which batch fits");
    return context.memory.largest_batch;
  }
  return spec.batch_size > 0 ? spec.batch_size : 2 * std::max(1, context.spec.batch_size / context.spec.ranks);
}

}  // namespace

ScoringPlan make_scoring_plan(const ValidationContext& context, const ValidationSpec& spec) {
  const NumberFormat format = resolve(spec.precision, context.spec.amp);
  ScoringPlan plan{.dtype = format.dtype, .precision = format.name};
  plan.batch_size = batch_size_of(context, spec);
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
  if (spec.cache == ValidationCache::gpu && context.memory.cache_bytes) keep_on_device(context);
  if (loader_life_ == LoaderLife::persistent && !loader_) loader_ = make_loader();
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

void SnapshotScorer::keep_on_device(const ValidationContext& context) {
  const std::int64_t needed = bytes_on_device(batches_), budget = *context.memory.cache_bytes;
  constexpr double kMiB = 1024.0 * 1024.0;
  if (needed > budget) {
    context.memory.warnings->push_back(
        fmt::format("cache gpu: the {} validation batches of rank {} need {:.0f} MiB and may take {:.0f} MiB, half of its share of "
                    "the GPU memory that is free before training: they are loaded for every validation, as with cache auto",
                    batches_.size(), context.communicator.rank(), static_cast<double>(needed) / kMiB,
                    static_cast<double>(budget) / kMiB));
    return;
  }
  loader_options_.cache.mode = CacheMode::none;  // Every image is asked for once.
  loader_ = std::make_unique<DeviceBatches>(make_loader(), context.device);
}

std::unique_ptr<DataLoader> SnapshotScorer::make_loader() const { return make_validation_loader(dataset_, batches_, loader_options_); }

PartialScore SnapshotScorer::run(const Evaluator::DetectionSink& sink, std::vector<UnmatchedBatch>* unmatched) {
  if (loader_life_ == LoaderLife::persistent) return evaluator_->score(*model_, *loader_, batches_, sink, unmatched);
  const std::unique_ptr<DataLoader> loader = make_loader();
  return evaluator_->score(*model_, *loader, batches_, sink, unmatched);
}

UnmatchedScore SnapshotScorer::score_unmatched() {
  UnmatchedScore result;
  result.score = run({}, &result.batches);
  return result;
}

PartialScore SnapshotScorer::match(UnmatchedScore score, const Evaluator::DetectionSink& sink, Tracer& tracer) const {
  for (std::size_t b = 0; b < score.batches.size(); ++b) {
    const ScopedSpan span(tracer, Phase::val_match, static_cast<std::int64_t>(b));
    evaluator_->match(std::move(score.batches[b]), score.score, sink);
  }
  return std::move(score.score);
}

}  // namespace valbench
