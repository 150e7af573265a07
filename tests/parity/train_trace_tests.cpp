// golden/train_trace*.json: trainings of YOLOv5 v7.0, replayed step by step (golden page data_training_validation.md).
#include <ATen/ATen.h>

#include "tests/parity/trace_replay.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

/// Deviations are kept as multiples of the tolerance, because tolerances grow with the steps.
struct TraceReport {
  Deviation lr{"lr, momentum (of 1e-9)", 1}, loss{"loss (of its tolerance)", 1}, items{"loss items (of tolerance)", 1};
  Deviation gradient{"gradient norm (of tolerance)", 1}, params{"param L2 (of tolerance)", 1}, ema{"EMA L2 (of tolerance)", 1};
  Deviation samples{"sampled values (of tolerance)", 1}, val_loss{"validation loss (of tolerance)", 1};
  Deviation map{"mAP (of tolerance)", 1}, pr{"P, R (of tolerance)", 1}, raw_loss{"loss, relative, first 4 steps", 1};

  void check(const std::filesystem::path& file) const {
    for (const Deviation* d : {&lr, &loss, &items, &gradient, &params, &ema, &samples, &val_loss, &map, &pr}) d->check(file, "trace");
    raw_loss.print(file, "trace");
  }
};

double relative(double ours, double golden) { return std::abs(ours - golden) / std::max(std::abs(golden), 1e-12); }
void add(Deviation& d, double deviation, double tolerance) {
  if (tolerance > 0) d.add(deviation / tolerance);
}

void check_batch(const json& golden, const Batch& batch) {
  CHECK(batch.images.sizes().vec() == golden["shape"].get<std::vector<std::int64_t>>());
  CHECK(batch.images.sum(at::kLong).item<std::int64_t>() == golden["uint8_sum"].get<std::int64_t>());
  REQUIRE(batch.targets.size(0) == golden["targets"].get<std::int64_t>());
  const at::Tensor sums = batch.targets.sum(0, false, at::kDouble);
  for (std::int64_t c = 0; c < 6; ++c) {
    CHECK(sums[c].item<double>() == Approx(golden["targets_col_sums"][static_cast<std::size_t>(c)].get<double>()).epsilon(2e-6));
  }
}

void check_step(const json& golden, const StepReport& ours, TraceReplay& replay, const TraceTolerance& t, TraceReport& report) {
  CHECK(ours.optimizer_step == golden["optimizer_step"].get<bool>());
  CHECK(ours.accumulate == golden["accumulate"].get<double>());
  CHECK(replay.step().ema_updates() == golden["ema_updates"].get<std::int64_t>());
  for (std::size_t g = 0; g < 3; ++g) report.lr.add((ours.lr[g] - golden["lr"][g].get<double>()) / 1e-9);
  report.lr.add((ours.momentum - golden["momentum"].get<double>()) / 1e-9);
  const double loss = relative(ours.loss_total.item<double>(), golden["loss_total"]);
  add(report.loss, loss, t.loss);
  if (golden["step"].get<int>() < 4) report.raw_loss.add(loss);
  for (std::int64_t i = 0; i < 3; ++i) {
    const double item = golden["loss_items_box_obj_cls"][static_cast<std::size_t>(i)];
    add(report.items, relative(ours.loss_items[i].item<double>(), item), t.items);
  }
  if (ours.optimizer_step) {
    add(report.gradient, relative(ours.gradient_norm.item<double>(), golden["grad_norm_before_clip"]), t.gradient_norm);
  }
  if (golden.contains("param_l2_after")) {
    add(report.params, relative(replay.l2(replay.step().model_state(), TraceReplay::Part::parameters), golden["param_l2_after"]),
        t.param_l2);
  }
  for (const char* key : {"bias_samples_after", "weight_samples_after", "bn_samples_after"}) {
    if (!golden.contains(key)) continue;
    for (const json& s : golden[key]) {
      add(report.samples, std::abs(replay.model_value(s[0], s[1]) - s[2].get<double>()), t.samples);
    }
  }
}

void check_validation(const json& golden, const ValidationRecord& ours, const PartialScore& score, const TraceTolerance& t,
                      TraceReport& report) {
  if (t.map == 0) return;
  add(report.map, std::abs(ours.map50 - golden["mAP50"].get<double>()), t.map);
  add(report.map, std::abs(ours.map50_95 - golden["mAP50_95"].get<double>()), t.map);
  add(report.pr, std::abs(ours.precision - golden["P"].get<double>()), t.precision);
  add(report.pr, std::abs(ours.recall - golden["R"].get<double>()), t.recall);
  for (std::size_t i = 0; i < 3; ++i) {
    add(report.val_loss, relative(ours.loss[i], golden["val_loss_box_obj_cls"][i]), t.val_loss);
  }
  CHECK(static_cast<double>(score.matches.detections.size()) ==
        Approx(golden["kept_detections"].get<double>()).epsilon(0.002));
}

void check_epoch(const json& golden, TraceReplay& replay, const TraceTolerance& t, TraceReport& report) {
  using Part = TraceReplay::Part;
  const at::Tensor& model = replay.step().model_state();
  const at::Tensor& ema = replay.step().ema_state();
  CHECK(replay.step().ema_updates() == golden["ema_updates"].get<std::int64_t>());
  add(report.params, relative(replay.l2(model, Part::parameters), golden["param_l2"]), t.param_l2);
  add(report.params, relative(replay.l2(model, Part::running), golden["bn_running_l2"]), t.ema_l2);
  add(report.ema, relative(replay.l2(ema, Part::parameters), golden["ema_param_l2"]), t.ema_l2);
  if (golden.contains("ema_float_state_l2")) {
    add(report.ema, relative(replay.l2(ema, Part::floating), golden["ema_float_state_l2"]), t.ema_l2);
  }
  for (const json& s : golden["param_samples"]) {
    add(report.samples, std::abs(replay.model_value(s[0], s[1]) - s[2].get<double>()), t.samples);
  }
  for (const json& s : golden["bn_running_samples"]) {
    add(report.samples, std::abs(replay.model_value(s[0], s[1]) - s[2].get<double>()), t.samples);
  }
  for (const json& s : golden["ema_samples"]) {
    add(report.samples, std::abs(replay.flat_value(ema, s[0], s[1]) - s[2].get<double>()), t.samples);
  }
  PartialScore score;
  const ValidationRecord validation = replay.validate(ema, false, &score);
  check_validation(golden["validation"], validation, score, t, report);
}

void replay_trace(const std::filesystem::path& file) {
  const json trace = read_json(file);
  TraceReplay replay(trace);
  TraceReport report;
  double best = 0;
  at::Tensor best_state;
  int best_epoch = 0;
  std::size_t next = 0;
  for (const json& epoch : trace["epochs"]) {
    const int e = epoch["epoch"];
    replay.step().begin_epoch(e);
    for (std::int64_t index = 0; next < trace["steps"].size() && trace["steps"][next]["epoch"] == e; ++next, ++index) {
      const json& golden = trace["steps"][next];
      const Batch batch = replay.batch(golden);
      check_batch(golden, batch);
      check_step(golden, replay.step().run(batch, index), replay, step_tolerance(trace, golden["step"], e), report);
    }
    const json& last = trace["steps"][next - 1];
    const json& means = last.contains("mean_loss_box_obj_cls") ? last["mean_loss_box_obj_cls"] : epoch["mean_loss_box_obj_cls"];
    const at::Tensor ours = replay.step().mean_loss_items();
    for (std::int64_t i = 0; i < 3; ++i) {
      add(report.items, relative(ours[i].item<double>(), means[static_cast<std::size_t>(i)]), epoch_tolerance(trace, e).items);
    }
    replay.step().end_epoch();
    check_epoch(epoch, replay, epoch_tolerance(trace, e), report);
    const json& v = epoch["validation"];
    const double fitness = 0.1 * v["mAP50"].get<double>() + 0.9 * v["mAP50_95"].get<double>();
    if (fitness >= best) {
      best = fitness;
      best_epoch = e;
      best_state = replay.step().ema_state().clone();
    }
  }
  PartialScore score;
  const ValidationRecord closing = replay.validate(best_state, true, &score);
  // Rounding best.pt to fp16 moves the losses by more than the tolerance of an unrounded epoch: the page gives none for them.
  TraceTolerance t = epoch_tolerance(trace, best_epoch);
  t.val_loss = t.val_loss > 0 ? std::max(t.val_loss, 2e-3) : 0;
  check_validation(trace["final_best_validation"], closing, score, t, report);
  report.check(file);
}

}  // namespace

TEST_CASE("a training replays YOLOv5 v7.0's losses, learning rates, gradients, weights, EMA and validations") {
  if (!golden_available()) VB_SKIP(golden_missing());
  for (const auto& file : golden_files("train_trace", ".json")) {
    std::printf("replaying %s\n", file.filename().c_str());
    replay_trace(file);
  }
}
