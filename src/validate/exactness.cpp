#include "validate/exactness.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <bit>
#include <optional>

#include "metrics/bootstrap.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"
#include "validate/score_difference.h"

namespace valbench {
namespace {

constexpr std::uint64_t kBootstrapSeed = 0;  // Equal subsets of equal scores get equal errors, in every round.

/// Remembers the first pair of values that differ in a bit.
struct Difference {
  std::string text;
  void compare(const std::string& what, double a, double b) {
    if (text.empty() && std::bit_cast<std::uint64_t>(a) != std::bit_cast<std::uint64_t>(b)) {
      text = fmt::format("{}: {:.17g} != {:.17g}", what, a, b);
    }
  }
};

bool same_plan(const ScoringPlan& a, const ScoringPlan& b) {
  if (a.dtype != b.dtype || a.batches.size() != b.batches.size()) return false;
  for (std::size_t i = 0; i < a.batches.size(); ++i) {
    const BatchPlan& x = a.batches[i];
    const BatchPlan& y = b.batches[i];
    if (x.images != y.images || x.height != y.height || x.width != y.width) return false;
  }
  return true;
}

bool scores_repetitions(const ValidationSpec& spec) {
  return every_rank_validates(spec) && spec.shard == ShardMode::images_padded;
}

/// The same context for images that come from their files, also where the strategy kept its batches on the device.
ValidationContext loading(ValidationContext context) {
  context.memory.cache_bytes.reset();
  return context;
}

/// Rank 0 by itself, with one plan: built once for all snapshots.
class LoneScorer {
 public:
  LoneScorer(const ValidationContext& context, const ScoringPlan& plan)
      : scorer_(loading(context), plan, plan.batches), threads_(context.spec.torch_threads) {}
  const PartialScore& score(const at::Tensor& state) {
    scorer_.load(state);
    const PartialScore parts[] = {scorer_.score()};
    return merged_ = merge_scores(parts);
  }
  ValidationRecord record() const { return summarize_score(merged_, threads_); }
  const PartialScore& merged() const { return merged_; }  ///< The last one.

 private:
  SnapshotScorer scorer_;
  int threads_;
  PartialScore merged_;
};

/// Is the state at hand what the strategy says it scored? In place, the EMA has been rounded since, and rounds to the same again.
bool same_weights(const ValidationContext& context, const ScoringPlan& plan, const at::Tensor& state, const ValidationRecord& record) {
  if (context.spec.validation.ema == EmaUse::in_place && plan.dtype != at::kFloat) return true;
  return state.defined() && flat_checksum(state) == record.weights_checksum;
}

std::int64_t images_in(const ScoringPlan& plan) {
  std::int64_t images = 0;
  for (const BatchPlan& batch : plan.batches) images += static_cast<std::int64_t>(batch.images.size());
  return images;
}

/// What it is worth that a subset holds these images and no others.
void measure_choice_of_images(const PartialScore& score, std::int64_t all_images, int threads, ExactnessRecord& record) {
  const auto images = static_cast<std::int64_t>(score.matches.images.size());
  if (images == all_images || images < 2) {
    const std::string reason = images < 2 ? "not measured (one image has no bootstrap)" : "not measured (every image is scored)";
    record.map50_95_se = record.map50_95_bias = Measured::not_measured(reason);
    return;
  }
  const StandardErrors errors = bootstrap_standard_errors(score.matches, kBootstrapResamples, kBootstrapSeed, threads);
  record.map50_95_se = Measured::of(errors.map50_95);
  record.map50_95_bias = Measured::of(errors.map50_95_bias);
}

}  // namespace

std::string first_difference(const ValidationRecord& result, const ValidationRecord& reference) {
  Difference d;
  d.compare("images", static_cast<double>(result.images), static_cast<double>(reference.images));
  d.compare("labels", static_cast<double>(result.labels), static_cast<double>(reference.labels));
  d.compare("detections", static_cast<double>(result.detections), static_cast<double>(reference.detections));
  d.compare("pixels", static_cast<double>(result.pixels), static_cast<double>(reference.pixels));
  d.compare("candidate_limit_hits", static_cast<double>(result.candidate_limit_hits), static_cast<double>(reference.candidate_limit_hits));
  d.compare("detection_limit_hits", static_cast<double>(result.detection_limit_hits), static_cast<double>(reference.detection_limit_hits));
  d.compare("precision", result.precision, reference.precision);
  d.compare("recall", result.recall, reference.recall);
  d.compare("map50", result.map50, reference.map50);
  d.compare("map50_95", result.map50_95, reference.map50_95);
  for (std::size_t i = 0; i < 3; ++i) d.compare(fmt::format("loss[{}]", i), result.loss[i], reference.loss[i]);
  d.compare("classes", static_cast<double>(result.classes.size()), static_cast<double>(reference.classes.size()));
  for (std::size_t i = 0; d.text.empty() && i < result.classes.size(); ++i) {
    const ClassRecord& a = result.classes[i];
    const ClassRecord& b = reference.classes[i];
    const std::string name = fmt::format("class {} ", a.cls);
    d.compare(name + "index", a.cls, b.cls);
    d.compare(name + "labels", static_cast<double>(a.labels), static_cast<double>(b.labels));
    d.compare(name + "precision", a.precision, b.precision);
    d.compare(name + "recall", a.recall, b.recall);
    d.compare(name + "map50", a.map50, b.map50);
    d.compare(name + "map50_95", a.map50_95, b.map50_95);
  }
  return d.text;
}

std::string unlike_full_set(const ValidationContext& context, const ScoringPlan& plan, const ScoringPlan& full) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  const std::int64_t images = images_in(plan), all = images_in(full);
  if (images != all) add(fmt::format("subset {} of {} images", images, all));
  if (plan.dtype != full.dtype) add("precision " + plan.precision);
  if (context.spec.validation.shape != BatchShape::rect) add("shape " + to_string(context.spec.validation.shape));
  if (plan.batch_size != full.batch_size) add(fmt::format("batch_size {} instead of {}", plan.batch_size, full.batch_size));
  if (scores_repetitions(context.spec.validation)) add("shard images_padded");
  return text;
}

ExactnessRecord check_exactness(const ValidationContext& context, const ExactnessEvidence& evidence,
                                std::span<const ValidationRecord> validations, const at::Tensor& final_state) {
  const ScoringPlan plan = make_scoring_plan(context, context.spec.validation);
  const ScoringPlan full = make_reference_plan(context);
  LoneScorer alone(context, plan);
  std::optional<LoneScorer> reference;
  if (!same_plan(plan, full)) reference.emplace(context, full);

  ExactnessRecord record = ExactnessRecord::unchecked("not measured (no validation could be scored again)");
  record.unlike_full_set = unlike_full_set(context, plan, full);
  for (const ValidationRecord& validation : validations) {
    const PartialScore* score = evidence.score(validation.epoch);
    const bool last = &validation == &validations.back();
    if (score == nullptr && !last) continue;
    const at::Tensor state = score != nullptr ? evidence.state(validation.epoch) : final_state;
    if (!state.defined() || !same_weights(context, plan, state, validation)) continue;
    const PartialScore& expected = alone.score(state);
    std::string difference = score != nullptr ? first_difference(*score, expected, *context.dataset) : std::string();
    if (difference.empty()) difference = first_difference(validation, alone.record());
    if (!difference.empty() && record.first_difference.empty()) {
      record.first_difference = fmt::format("epoch {}: {}", validation.epoch, difference);
    }
    if (reference) static_cast<void>(reference->score(state));
    const ValidationRecord truth = reference ? reference->record() : alone.record();
    record.map50_95_delta = Measured::of(validation.map50_95 - truth.map50_95);
    record.map50_delta = Measured::of(validation.map50 - truth.map50);
    record.checked_epochs.push_back(validation.epoch);
  }
  if (!record.checked_epochs.empty()) measure_choice_of_images(alone.merged(), images_in(full), score_threads(context.spec), record);
  // Repetitions and batches of a rank's own: nobody claims that these are the numbers of the set.
  const bool padded = scores_repetitions(context.spec.validation);
  const bool whole = images_in(plan) == images_in(full) && !padded;
  if (!record.first_difference.empty() && !padded) {
    record.exact = "false";
  } else {
    const bool checked = evidence.mode() == VerifyMode::all ? record.checked_epochs.size() == validations.size() : !record.checked_epochs.empty();
    record.exact = whole && checked ? "true" : "not_claimed";
  }
  return record;
}

}  // namespace valbench
