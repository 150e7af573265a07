#include "compare/run_measures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>

#include "scenario/rank_roles.h"
#include "stats/quantiles.h"

namespace valbench {
namespace {

using EpochField = std::function<double(const EpochRecord&)>;

/// Per epoch, the largest value over the first `ranks` ranks; without the first epoch where there are others.
std::vector<double> later_epochs(const RunRecord& run, const EpochField& field, int ranks) {
  std::map<int, double> slowest;
  for (const EpochRecord& epoch : run.epochs) {
    if (epoch.rank >= ranks) continue;
    const auto [at, is_new] = slowest.try_emplace(epoch.epoch, field(epoch));
    if (!is_new) at->second = std::max(at->second, field(epoch));
  }
  std::vector<double> values;
  for (const auto& [epoch, value] : slowest) values.push_back(value);
  if (values.size() > 1) values.erase(values.begin());
  return values;
}

double sum(const RunRecord& run, const EpochField& field, int only_rank = -1) {
  double total = 0;
  for (const EpochRecord& epoch : run.epochs) {
    if (only_rank < 0 || epoch.rank == only_rank) total += field(epoch);
  }
  return total;
}

double val_share_of(const RunRecord& run, int rank) {
  const double val = sum(
      run, [](const auto& e) { return e.val_s; }, rank);
  const double train = sum(
      run, [](const auto& e) { return e.train_s; }, rank);
  return val + train > 0 ? val / (val + train) : 0;
}

void measure_validation_time(const RunRecord& run, RunMeasures& m) {
  if (run.validations.empty()) {
    const Measured none = Measured::not_measured(
        run.spec.validation.placement == Placement::none ? "validates nothing" : "no validation took place");
    m.val_s = m.val_share = m.val_share_max = m.balance_gain = none;
    return;
  }
  const std::vector<double> val = later_epochs(run, [](const auto& e) { return e.val_s; }, run.spec.ranks);
  const bool skips = run.validations.size() < run.train_checksums.size();
  m.val_s = Measured::of(skips ? mean(val) : median(val));
  double largest = 0;
  for (int rank = 0; rank < training_ranks(run.spec); ++rank) largest = std::max(largest, val_share_of(run, rank));
  const double share = val_share_of(run, 0);
  m.val_share = Measured::of(share);
  m.val_share_max = Measured::of(largest);
  if (run.spec.ranks < 2) {
    m.balance_gain = Measured::not_measured("one rank has nobody to share with");
  } else if (run.spec.validation.placement != Placement::rank0) {
    m.balance_gain = Measured::not_measured(run.spec.validation.placement == Placement::sharded ? "validation is already shared"
                                                                                             : "training does not wait for validation");
  } else {
    m.balance_gain = Measured::of(share * (1 - 1.0 / run.spec.ranks));
  }
}

Measured total_comm_wait(const RunRecord& run) {
  double total = 0;
  for (const EpochRecord& epoch : run.epochs) {
    if (epoch.rank >= training_ranks(run.spec)) continue;
    if (!epoch.comm_wait_s.value) return epoch.comm_wait_s;
    total += *epoch.comm_wait_s.value;
  }
  return Measured::of(total);
}

void measure_accuracy(const RunRecord& run, RunMeasures& m) {
  m.map50_95_delta = run.exactness.map50_95_delta;
  m.map50_95_se = run.exactness.map50_95_se;
  m.map50_95_bias = run.exactness.map50_95_bias;
  for (Measured* of_check : {&m.map50_95_delta, &m.map50_95_se, &m.map50_95_bias}) {
    if (of_check->value || !of_check->reason.empty()) continue;
    of_check->reason = run.spec.verify != VerifyMode::none ? "the run gives no reason" : "the check was switched off";
  }
  if (run.validations.empty()) {
    m.map50 = m.map50_95 = m.val_s;
    return;
  }
  m.map50 = Measured::of(run.validations.back().map50);
  m.map50_95 = Measured::of(run.validations.back().map50_95);
}

/// Times of ranks that took turns on a core are no times of the strategy.
void leave_times_out(const std::string& reason, RunMeasures& m) {
  using Measure = Measured RunMeasures::*;
  constexpr std::array<Measure, 9> kTimes = {
      &RunMeasures::job_s,         &RunMeasures::epoch_s,    &RunMeasures::train_s,     &RunMeasures::val_s,       &RunMeasures::val_share,
      &RunMeasures::val_share_max, &RunMeasures::idle_gpu_s, &RunMeasures::comm_wait_s, &RunMeasures::balance_gain};
  for (const Measure time : kTimes) {
    if ((m.*time).value) m.*time = Measured::not_measured(reason);
  }
}

bool finite_losses(const RunRecord& run) {
  const bool train = std::all_of(run.epochs.begin(), run.epochs.end(), [](const EpochRecord& e) {
    return std::isfinite(e.loss_box + e.loss_obj + e.loss_cls);
  });
  const bool val = std::all_of(run.validations.begin(), run.validations.end(), [](const ValidationRecord& v) {
    return std::isfinite(v.loss[0] + v.loss[1] + v.loss[2]);
  });
  return train && val;
}

}  // namespace

std::string reason_without_times(const RunRecord& run) {
  if (!run.spec.oversubscribed || run.spec.ranks <= run.machine.cores || run.machine.cores < 1) return {};
  return fmt::format("not measured ({} ranks on {} {})", run.spec.ranks, run.machine.cores, run.machine.cores == 1 ? "core" : "cores");
}

RunMeasures measure_run(const RunRecord& run) {
  RunMeasures m;
  m.job_s = Measured::of(run.job_s);
  m.validations = Measured::of(static_cast<double>(run.validations.size()));
  if (run.epochs.empty()) {
    visit_measures([&](Measured RunMeasures::*measure, const char*) {
      if (!(m.*measure).value) (m.*measure).reason = "the record holds no epochs";
    });
    return m;
  }
  const int trained = training_ranks(run.spec);  // A rank that only validates has no epochs of its own.
  m.epoch_s = Measured::of(median(later_epochs(run, [](const auto& e) { return e.epoch_s; }, trained)));
  m.train_s = Measured::of(median(later_epochs(run, [](const auto& e) { return e.train_s; }, trained)));
  measure_validation_time(run, m);
  m.idle_gpu_s = run.spec.ranks > 1 ? Measured::of(sum(run, [](const auto& e) { return e.wait_s; }))
                                    : Measured::not_measured("one rank waits for nobody");
  m.comm_wait_s = total_comm_wait(run);
  m.steps = Measured::of(sum(
      run, [](const auto& e) { return static_cast<double>(e.steps); }, 0));
  m.optimizer_steps = Measured::of(sum(
      run, [](const auto& e) { return static_cast<double>(e.optimizer_steps); }, 0));
  m.train_images = Measured::of(sum(run, [](const auto& e) { return static_cast<double>(e.train_images); }));
  m.val_images = Measured::of(sum(run, [](const auto& e) { return static_cast<double>(e.val_images); }));
  double peak = 0;
  for (const EpochRecord& epoch : run.epochs) peak = std::max(peak, epoch.peak_memory_mib);
  m.peak_memory_mib = peak > 0 ? Measured::of(peak) : Measured::not_measured("the run recorded no memory use");
  measure_accuracy(run, m);
  if (const std::string reason = reason_without_times(run); !reason.empty()) leave_times_out(reason, m);
  return m;
}

std::vector<std::string> invalid_reasons(const RunRecord& run) {
  std::vector<std::string> reasons = run.invalid_reasons;
  const bool said_inexact = std::any_of(reasons.begin(), reasons.end(), [&](const std::string& reason) {
    return !run.exactness.first_difference.empty() && reason.find(run.exactness.first_difference) != std::string::npos;
  });
  if (run.exactness.exact == "false" && !said_inexact) {
    reasons.push_back("not exact: " + (run.exactness.first_difference.empty() ? "the re-scored metrics differ"
                                                                              : run.exactness.first_difference));
  }
  const bool said_loss = std::any_of(reasons.begin(), reasons.end(), [](const std::string& reason) {
    return reason.find("not finite") != std::string::npos;
  });
  if (!finite_losses(run) && !said_loss) reasons.push_back("a loss is not finite");
  if (!run.timing_comparable) {
    reasons.push_back("timing not comparable: " +
                      (run.timing_note.empty() ? "the run gives no reason" : run.timing_note));
  }
  if (!(run.job_s > 0) || !std::isfinite(run.job_s)) reasons.push_back(fmt::format("job_s is {}", run.job_s));
  return reasons;
}

}  // namespace valbench
