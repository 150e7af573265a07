/// \file
/// Made-up run records: a sweep with known times, so that tests know what a comparison must say.
#pragma once
#include <string>
#include <vector>

#include "record/run_record.h"

namespace valbench::test {

/// What one strategy's runs look like.
struct MadeUpStrategy {
  std::string name;
  Placement placement = Placement::rank0;
  double train_s = 5, val_s = 5;  ///< Per epoch; with `sharded` every rank validates val_s.
  int interval = 1;
  double map50_95_delta = 0;
  std::string exact = "true";
  double subset_se = 0;  ///< Above 0: a subset, and its standard error; the bias is half of it.
};

/// A run of 3 epochs on 2 ranks. All durations are scaled by `noise`.
inline RunRecord made_up_run(const MadeUpStrategy& strategy, int round, double noise) {
  RunRecord run;
  run.spec.scenario = "quickstart";
  run.spec.run_id = "r0" + std::to_string(round) + "-" + strategy.name;
  run.spec.round = round;
  run.spec.ranks = 2;
  run.spec.imgsz = 96;
  run.spec.validation.name = strategy.name;
  run.spec.validation.placement = strategy.placement;
  run.spec.validation.interval = strategy.interval;
  run.spec.validation.batch_size = static_cast<int>(strategy.val_s * 100);  // what makes the times differ
  run.machine.host_cpu = "made up";
  for (int epoch = 0; epoch < run.spec.epochs; ++epoch) {
    const bool last = epoch + 1 == run.spec.epochs;
    const bool validates = strategy.placement != Placement::none && ((epoch + 1) % strategy.interval == 0 || last);
    const double val_s = validates ? strategy.val_s * noise : 0;
    for (int rank = 0; rank < 2; ++rank) {
      EpochRecord e;
      e.rank = rank;
      e.epoch = epoch;
      e.train_s = strategy.train_s * noise;
      const bool works = strategy.placement == Placement::sharded || rank == 0;
      e.val_s = works ? val_s : 0;
      e.wait_s = works ? 0 : val_s;
      e.epoch_s = e.train_s + val_s;
      e.comm_wait_s = Measured::of(0.25);
      e.comm_transfer_s = Measured::of(0.125);
      e.train_images = 64, e.steps = 8, e.optimizer_steps = 2;
      e.val_images = !validates || !works ? 0 : strategy.placement == Placement::sharded ? 128 : 256;
      e.loss_box = 0.1, e.loss_obj = 0.2, e.loss_cls = 0.05;
      e.phase_s = {{"sync.wait", e.wait_s}, {"train.forward", 2 * noise}};
      e.phase_count = {{"sync.wait", 1}, {"train.forward", 8}};
      e.peak_memory_mib = 512;
      run.epochs.push_back(e);
      if (rank == 0) run.job_s += e.epoch_s;
    }
    if (validates) {
      ValidationRecord v;
      v.epoch = epoch;
      v.images = 256, v.labels = 1000, v.detections = 4000;
      v.pixels = 256 * 96 * 96, v.detection_limit_hits = 2;
      v.precision = 0.6, v.recall = 0.4, v.map50 = 0.41, v.map50_95 = 0.23 + strategy.map50_95_delta;
      v.loss = {0.1, 0.2, 0.3};
      v.weights_checksum = "00ff";
      v.classes = {{.cls = 0, .labels = 1000, .precision = 0.6, .recall = 0.4, .map50 = 0.41, .map50_95 = 0.23}};
      run.validations.push_back(v);
    }
    run.train_checksums.push_back("00ff");
  }
  run.exactness.exact = strategy.exact;
  run.exactness.map50_95_delta = strategy.placement == Placement::none ? Measured::not_measured("validates nothing")
                                                                       : Measured::of(strategy.map50_95_delta);
  run.exactness.map50_delta = Measured::of(0);
  const Measured no_subset = Measured::not_measured("not measured (every image is scored)");
  run.exactness.map50_95_se = strategy.subset_se > 0 ? Measured::of(strategy.subset_se) : no_subset;
  run.exactness.map50_95_bias = strategy.subset_se > 0 ? Measured::of(strategy.subset_se / 2) : no_subset;
  if (strategy.placement == Placement::none) run.exactness.exact = "not_claimed";
  return run;
}

/// The run, traced on two GPUs from its second epoch on. Its forward pass takes 0.5 s of 1 s of kernels an epoch.
inline RunRecord made_up_traced_run(const MadeUpStrategy& strategy, int round) {
  RunRecord run = made_up_run(strategy, round, 1);
  run.spec.profile = true;
  run.spec.device = DeviceKind::cuda;
  run.machine.gpu = "made up GPU";
  for (int rank = 0; rank < 2; ++rank) {
    GpuTraceRecord trace{.rank = rank, .available = true, .first_epoch = 1, .kernels = 200, .comm_kernels = 2, .copies = 4};
    trace.wall_s = Measured::of(10), trace.compute_s = Measured::of(2), trace.comm_transfer_s = Measured::of(0.5);
    trace.comm_wait_s = Measured::of(1), trace.memcpy_s = Measured::of(0.25), trace.idle_s = Measured::of(6.25);
    trace.none_share = Measured::of(0);
    run.gpu_traces.push_back(trace);
    for (int epoch = 1; epoch < run.spec.epochs; ++epoch) {
      run.gpu_phases.push_back(
          {.rank = rank, .epoch = epoch, .phase = "train.forward", .kernel_s = 0.5, .memcpy_s = 0.125, .kernels = 50, .copies = 1});
      run.gpu_phases.push_back({.rank = rank, .epoch = epoch, .phase = "val.forward", .kernel_s = 0.375, .kernels = 50});
    }
  }
  return run;
}

/// Every strategy once a round. The machine's speed drifts from round to round and each run scatters by a few tenths of
/// a percent.
inline std::vector<RunRecord> made_up_sweep(const std::vector<MadeUpStrategy>& strategies, int rounds) {
  constexpr double kDrift[] = {1, 1.02, 0.99, 1.03, 1.01, 0.98},
                   kScatter[] = {0, 0.002, -0.001, 0.003, -0.002, 0.001, -0.003};
  std::vector<RunRecord> runs;
  int at = 0;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t s = 0; s < strategies.size(); ++s) {
      runs.push_back(made_up_run(strategies[s], round, kDrift[round % 6] * (1 + kScatter[at++ % 7])));
      runs.back().spec.order = static_cast<int>(round * static_cast<int>(strategies.size()) + static_cast<int>(s));
    }
  }
  return runs;
}

/// The sweep of the golden strings.
inline std::vector<RunRecord> example_sweep() {
  return made_up_sweep({{.name = "rank0"},
                        {.name = "rank0 again"},
                        {.name = "sharded", .placement = Placement::sharded, .val_s = 3.5},
                        {.name = "every 2nd epoch", .interval = 2},
                        {.name = "fp16", .val_s = 5.03, .map50_95_delta = -0.0012},
                        {.name = "none", .placement = Placement::none}},
                       6);
}

}  // namespace valbench::test
