// Learning rates, accumulation, optimizer steps, EMA decay, early stopping and fitness against lr_schedule*.json.
#include "scenario/run_spec.h"
#include "tests/support/golden_json.h"
#include "train/early_stopping.h"
#include "train/ema.h"
#include "train/lr_schedule.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

// The golden page's tolerance, relative; the files print ten digits, so the absolute part only serves zeros.
constexpr double kRelative = 1e-9, kAbsolute = 1e-12;

void check_row(const json& row, const StepRates& rates, bool stepped, Deviations& deviations) {
  for (std::size_t g = 0; g < 3; ++g) deviations.add("learning rate", rates.lr[g], row[2 + g], kAbsolute, kRelative);
  deviations.add("momentum", rates.momentum, row[5], kAbsolute, kRelative);
  deviations.add("accumulate", rates.accumulate, row[6], kAbsolute, kRelative);
  deviations.add("optimizer step taken", stepped ? 1 : 0, row[7], kAbsolute, kRelative);
}

void replay(const json& golden, Deviations& deviations) {
  const int epochs = golden["epochs"], batch_size = golden["batch_size"];
  const std::int64_t batches = golden["batches_per_epoch"];
  const Hyperparameters hyp = builtin_hyperparameters(golden["hyp"]);
  const double decay = scaled_weight_decay(hyp.weight_decay, batch_size);
  deviations.add("weight decay", decay, golden["weight_decay_groups"][1], kAbsolute, kRelative);
  LrSchedule schedule(hyp, golden["cos_lr"], epochs, batch_size, batches);
  CHECK(schedule.warmup_batches() == golden["warmup_iterations"]);
  std::size_t next_row = 0;
  std::int64_t last_step = -1, total = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    std::int64_t steps = 0;
    for (std::int64_t i = 0; i < batches; ++i) {
      const std::int64_t ni = i + batches * epoch;
      const StepRates rates = schedule.at(epoch, i);
      const bool stepped = static_cast<double>(ni - last_step) >= rates.accumulate;
      if (stepped) last_step = ni;
      steps += stepped;
      const json& rows = golden["rows"];
      if (next_row < rows.size() && rows[next_row][0] == ni) check_row(rows[next_row++], rates, stepped, deviations);
    }
    const json& end = golden["epoch_end_lr"][static_cast<std::size_t>(epoch)];
    for (std::size_t g = 0; g < 3; ++g) {
      deviations.add("learning rate at epoch end", schedule.current().lr[g], end[1 + g], kAbsolute, kRelative);
    }
    CHECK(steps == golden["optimizer_steps_per_epoch"][static_cast<std::size_t>(epoch)]);
    total += steps;
    schedule.end_epoch(epoch);
  }
  CHECK(next_row == golden["rows"].size());
  CHECK(total == golden["total_optimizer_steps"]);
}

void check_early_stopping(const json& golden) {
  INFO("early stopping " << golden["name"]);
  EarlyStopping stopping(golden["patience"]);
  const json& expected = golden["possible_stop_after_each_epoch"];
  const json& stops = golden["stops_after_epoch"];
  for (std::size_t epoch = 0; epoch < expected.size(); ++epoch) {
    INFO("epoch " << epoch);
    const bool stop = stopping.update(static_cast<int>(epoch), golden["fitness"][epoch]);
    CHECK(stopping.possible_stop() == expected[epoch].get<bool>());
    CHECK(stop == (!stops.is_null() && stops.get<std::size_t>() == epoch));
  }
  CHECK(stopping.best_epoch() == golden["best_epoch"]);
}

}  // namespace

TEST_CASE("learning rates, steps, EMA decay, patience and fitness are YOLOv5's") {
  const auto files = golden_files("lr_schedule");
  if (files.empty()) VB_SKIP("no lr_schedule*.json in " + golden_folder().string());
  for (const auto& file : files) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& schedule : golden["cases"]) {
      INFO(schedule["epochs"] << " epochs of " << schedule["batches_per_epoch"] << " batches of " << schedule["batch_size"]);
      if (schedule["optimizer"] == "SGD") replay(schedule, deviations);
    }
    const json& ema = golden["ema_decay"];
    for (std::size_t i = 0; i < ema["updates"].size(); ++i) {
      deviations.add("EMA decay", ema_decay(ema["updates"][i]), ema["decay"][i], kAbsolute, kRelative);
    }
    for (const json& stopping : golden["early_stopping"]) check_early_stopping(stopping);
    for (std::size_t i = 0; i < golden["fitness"]["value"].size(); ++i) {
      const json& metrics = golden["fitness"]["P_R_mAP50_mAP"][i];
      deviations.add("fitness", fitness(metrics[2], metrics[3]), golden["fitness"]["value"][i], kAbsolute, kRelative);
    }
    deviations.print_and_check(file.filename().string());
  }
}

TEST_CASE("without patience a run never stops early") {
  EarlyStopping stopping(0);
  CHECK_FALSE(stopping.update(0, 0.5));
  CHECK_FALSE(stopping.update(1000, 0.1));
  CHECK_FALSE(stopping.possible_stop());
}
