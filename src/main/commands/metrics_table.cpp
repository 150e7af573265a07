#include "main/commands/metrics_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;

void print_row(const std::string& name, std::int64_t images, const ordered_json& row) {
  const auto number = [&](const char* key) { return row.at(key).get<double>(); };
  print_line(fmt::format("{:>22}{:>11}{:>11}{:>11.3g}{:>11.3g}{:>11.3g}{:>11.3g}", name, images, row.at("labels").get<std::int64_t>(),
                         number("precision"), number("recall"), number("map50"), number("map50_95")));
}

/// `0.374`, or a dash where no label stands for a number.
std::string coco_number(const ordered_json& coco, const char* name) {
  const auto& value = coco.at(name);
  return value.is_null() ? "-" : fmt::format("{:.3f}", value.get<double>());
}

/// Two lines: precision and recall.
void print_coco(const ordered_json& coco) {
  if (coco.contains("reason")) {
    print_line("COCO: " + coco.at("reason").get<std::string>());
    return;
  }
  const auto number = [&](const char* name) { return coco_number(coco, name); };
  print_line(fmt::format("COCO AP {} (at IoU .50 {}, .75 {}; small {}, medium {}, large {})", number("ap"), number("ap50"), number("ap75"),
                         number("ap_small"), number("ap_medium"), number("ap_large")));
  print_line(fmt::format("COCO AR {} (of 1 detection {}, of 10 {}; small {}, medium {}, large {})", number("ar100"), number("ar1"),
                         number("ar10"), number("ar_small"), number("ar_medium"), number("ar_large")));
}

void print_speed(const ordered_json& metrics, std::int64_t images) {
  const auto& seconds = metrics.at("seconds");
  const auto ms = [&](const char* stage) { return seconds.at(stage).get<double>() * 1e3 / static_cast<double>(std::max<std::int64_t>(1, images)); };
  print_line(fmt::format("Speed: {:.1f} ms pre-process, {:.1f} ms inference, {:.1f} ms NMS per image at shape {}; {} in all", ms("h2d"),
                         ms("forward"), ms("nms"), metrics.at("input_shape").dump(), format_duration(seconds.at("total").get<double>())));
}

}  // namespace

void print_metrics(const std::filesystem::path& metrics_file, bool verbose) {
  constexpr std::size_t kManyClasses = 50;
  const ordered_json metrics = ordered_json::parse(read_file(metrics_file));
  const auto images = metrics.at("images").get<std::int64_t>();
  print_line(fmt::format("{:>22}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}", "Class", "Images", "Instances", "P", "R", "mAP50", "mAP50-95"));
  print_row("all", images, metrics);
  const auto& classes = metrics.at("per_class");
  if (classes.size() > 1 && (verbose || classes.size() < kManyClasses)) {
    for (const auto& [name, row] : classes.items()) print_row(name, images, row);
  }
  if (metrics.contains("coco")) print_coco(metrics.at("coco"));
  print_speed(metrics, images);
}

void print_metrics_warnings(const std::filesystem::path& metrics_file) {
  const ordered_json metrics = ordered_json::parse(read_file(metrics_file));
  for (const auto& warning : metrics.at("warnings")) log_warning(warning.get<std::string>());
}

std::filesystem::path validated_weights(const std::filesystem::path& metrics_file) {
  return ordered_json::parse(read_file(metrics_file)).at("settings").at("weights").get<std::string>();
}

}  // namespace valbench
