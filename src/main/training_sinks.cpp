#include "main/training_sinks.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "base/clock.h"
#include "record/results_csv.h"
#include "train/device.h"

namespace valbench {
namespace {

constexpr std::int64_t kInterval_ns = 500'000'000;

/// What the lines of batches and epochs share.
struct Shared {
  std::filesystem::path results_file;
  std::optional<ResultsCsv> results;  ///< From the first epoch that ends: only then is it known which one that is.
  int fd = -1;
  std::int64_t last_ns = 0;
  std::int64_t instances = 0, size = 0;  ///< Of the last batch.
  double gpu_gb = -1;                    ///< Negative on CPUs.

  void write_line(const std::string& line) const {
    // A full or closed pipe must not stop the training.
    if (fd >= 0 && ::write(fd, line.data(), line.size()) < 0) return;
  }
  std::string batch_values() const {
    return fmt::format(" instances={} size={}", instances, size) +
           (gpu_gb >= 0 ? fmt::format(" gpu_gb={:.6g}", gpu_gb) : std::string());
  }
};

std::string loss_values(double box, double obj, double cls) {
  return fmt::format(" box={:.6g} obj={:.6g} cls={:.6g}", box, obj, cls);
}

std::string validation_values(const ValidationRecord* v) {
  if (v == nullptr) return {};
  return fmt::format(" val_images={} val_labels={} precision={:.6g} recall={:.6g} map50={:.6g} map50_95={:.6g}", v->images,
                     v->labels, v->precision, v->recall, v->map50, v->map50_95);
}

void tell_batch(Shared& shared, const BatchReport& report) {
  shared.instances = report.instances;
  shared.size = report.size;
  const std::int64_t now = now_ns();
  if (report.batch != report.batches && now - shared.last_ns < kInterval_ns) return;
  shared.last_ns = now;
  const c10::Device device = report.step.model_state().device();
  if (device.is_cuda()) shared.gpu_gb = peak_memory_mib(device) * (1 << 20) / 1e9;
  const at::Tensor loss = report.step.mean_loss_items();
  shared.write_line(fmt::format("epoch {} batch {} {} train", report.epoch, report.batch, report.batches) +
                    loss_values(loss[0].item<double>(), loss[1].item<double>(), loss[2].item<double>()) +
                    shared.batch_values() + "\n");
}

void tell_epoch(Shared& shared, const EpochReport& report) {
  const EpochRecord& r = report.record;
  if (report.late) {
    shared.results->complete(*report.validation);
    shared.write_line(fmt::format("epoch {} batch 1 1 validated", r.epoch) + validation_values(report.validation) + "\n");
    return;
  }
  if (!shared.results) shared.results.emplace(shared.results_file, r.epoch);
  shared.results->add(r, report.validation, report.lr, report.pending);
  shared.write_line(fmt::format("epoch {} batch 1 1 done", r.epoch) + loss_values(r.loss_box, r.loss_obj, r.loss_cls) +
                    shared.batch_values() + validation_values(report.validation) + "\n");
}

}  // namespace

TrainingSinks training_sinks(const RunSpec& spec) {
  const char* fd_text = std::getenv("VALBENCH_PROGRESS_FD");
  const auto shared = std::make_shared<Shared>();
  shared->results_file = spec.folder / "results.csv";
  if (fd_text != nullptr) shared->fd = std::atoi(fd_text);
  return {[shared](const EpochReport& report) { tell_epoch(*shared, report); },
          [shared](const BatchReport& report) { tell_batch(*shared, report); }};
}

}  // namespace valbench
