#include "validate/exactness.h"

#include <fmt/format.h>

#include <bit>

namespace valbench {
namespace {

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

ValidationRecord score_alone(const ValidationContext& context, const ScoringPlan& plan, const at::Tensor& state) {
  SnapshotScorer scorer(context, plan, plan.batches);
  scorer.load(state);
  const PartialScore parts[] = {scorer.score()};
  return summarize_score(merge_scores(parts), context.spec.torch_threads);
}

}  // namespace

std::string first_difference(const ValidationRecord& result, const ValidationRecord& reference) {
  Difference d;
  d.compare("images", static_cast<double>(result.images), static_cast<double>(reference.images));
  d.compare("labels", static_cast<double>(result.labels), static_cast<double>(reference.labels));
  d.compare("detections", static_cast<double>(result.detections), static_cast<double>(reference.detections));
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

ExactnessRecord check_exactness(const ValidationContext& context, const at::Tensor& state, const ValidationRecord& last) {
  const ScoringPlan plan = make_scoring_plan(context, context.spec.validation);
  const ScoringPlan full = make_reference_plan(context);
  const ValidationRecord alone = score_alone(context, plan, state);
  const ValidationRecord reference = same_plan(plan, full) ? alone : score_alone(context, full, state);

  ExactnessRecord record;
  record.first_difference = first_difference(last, alone);
  const ValidationSpec& spec = context.spec.validation;
  const bool subset = spec.subset_count > 0 || spec.subset_fraction < 1.0;
  // Repetitions and batches of a rank's own: nobody claims that these are the numbers of the set.
  if (spec.placement == Placement::sharded && spec.shard == ShardMode::images_padded) {
    record.exact = "not_claimed";
  } else if (!record.first_difference.empty()) {
    record.exact = "false";
  } else {
    record.exact = subset ? "not_claimed" : "true";
  }
  record.map50_95_delta = Measured::of(last.map50_95 - reference.map50_95);
  record.map50_delta = Measured::of(last.map50 - reference.map50);
  return record;
}

}  // namespace valbench
