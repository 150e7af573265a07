#include "main/commands/train_console.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "scenario/layer_table.h"

namespace valbench {
namespace {

/// A value of the line, formatted; dots where the rank did not send it.
std::string cell(const RankProgress& progress, const char* name, const char* format) {
  const auto found = progress.values.find(name);
  if (found == progress.values.end()) return fmt::format("{:>11}", "...");
  return fmt::format(fmt::runtime(format), found->second);
}

}  // namespace

std::string train_row_header() {
  return fmt::format("{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}", "Epoch", "GPU_mem", "box_loss", "obj_loss",
                     "cls_loss", "Instances", "Size");
}

std::string train_row(const RankProgress& p) {
  std::string row = fmt::format("{:>11}", fmt::format("{}/{}", p.epoch, p.epochs - 1));
  const auto memory = p.values.find("gpu_gb");
  row += fmt::format("{:>11}", memory == p.values.end() ? "-" : fmt::format("{:.3g}G", memory->second));
  for (const char* loss : {"box", "obj", "cls"}) row += cell(p, loss, "{:>11.4g}");
  return row + cell(p, "instances", "{:>11.0f}") + cell(p, "size", "{:>11.0f}");
}

std::string validation_row_header() {
  return fmt::format("{:>22}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}", "Class", "Images", "Instances", "P", "R", "mAP50",
                     "mAP50-95");
}

std::string validation_row(const RankProgress& p) {
  std::string row = fmt::format("{:>22}", "all") + cell(p, "val_images", "{:>11.0f}") + cell(p, "val_labels", "{:>11.0f}");
  for (const char* name : {"precision", "recall", "map50", "map50_95"}) row += cell(p, name, "{:>11.3g}");
  return row;
}

TrainConsole::TrainConsole(const RunSpec& spec, const ImageCounts& images) {
  const std::string device = to_string(spec.device) + (spec.amp == AmpMode::off ? "" : ", " + to_string(spec.amp));
  const std::string batch = spec.batch_size < 0 ? "auto" : std::to_string(spec.batch_size);
  progress_.line(fmt::format("{}, {} px, {} {}, batch {} on {} {} ({}); {} training and {} validation images",
                             model_name(spec.model), spec.imgsz, spec.epochs, spec.epochs == 1 ? "epoch" : "epochs", batch, spec.ranks,
                             spec.ranks == 1 ? "rank" : "ranks", device, images.train, images.val));
  progress_.line("results to " + spec.folder.string());
}

double TrainConsole::seconds_left(double fraction, std::int64_t at_ns) {
  if (first_ns_ < 0) {
    first_ns_ = at_ns;
    first_fraction_ = fraction;
  }
  if (fraction <= first_fraction_) return -1;
  return seconds_between(first_ns_, at_ns) / (fraction - first_fraction_) * (1 - fraction);
}

void TrainConsole::show(const RankProgress& p, std::int64_t at_ns) {
  if (p.phase == "done") {
    progress_.line("\n" + train_row_header() + "\n" + train_row(p));
    if (p.values.contains("map50")) progress_.line(validation_row_header() + "\n" + validation_row(p));
    return;
  }
  if (p.phase == "validated") {  // Late, so that the row of its epoch does not stand right above.
    progress_.line(fmt::format("validation of epoch {}/{}\n", p.epoch, p.epochs - 1) + validation_row_header() + "\n" + validation_row(p));
    return;
  }
  if (p.phase == "closing") {
    progress_.update(1, -1, fmt::format("validating best: batch {}/{}", p.batch, p.batches), at_ns);
    return;
  }
  std::string text = fmt::format("epoch {}/{} {} {}/{}", p.epoch, p.epochs - 1, p.phase, p.batch, p.batches);
  for (const char* loss : {"box", "obj", "cls"}) {
    if (const auto found = p.values.find(loss); found != p.values.end())
      text += fmt::format(" {} {:.4g}", loss, found->second);
  }
  progress_.update(p.fraction(), seconds_left(p.fraction(), at_ns), text, at_ns);
}

std::string training_summary(const RunRecord& record, double seconds) {
  const int before = record.epochs.empty() ? 0 : record.epochs.front().epoch;
  const int epochs = record.epochs.empty() ? 0 : record.epochs.back().epoch + 1 - before;
  std::string text = fmt::format("\n{} {} completed in {}", epochs, epochs == 1 ? "epoch" : "epochs", format_duration(seconds));
  if (before > 0) text += fmt::format(" after {} before", before);
  if (record.best_epoch >= 0) return text + fmt::format("; best epoch: {}", record.best_epoch);
  if (record.validations.empty()) return text + "; no validation, so there is no best epoch";
  return text + "; the best epoch is one before, and its checkpoint does not say which";
}

}  // namespace valbench
