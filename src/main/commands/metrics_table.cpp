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
  print_speed(metrics, images);
}

void print_metrics_warnings(const std::filesystem::path& metrics_file) {
  for (const auto& warning : ordered_json::parse(read_file(metrics_file)).at("warnings")) log_warning(warning.get<std::string>());
}

std::filesystem::path validated_weights(const std::filesystem::path& metrics_file) {
  return ordered_json::parse(read_file(metrics_file)).at("settings").at("weights").get<std::string>();
}

}  // namespace valbench
