/// \file
/// What a finished validation looks like on the console: YOLOv5's table, from metrics.json.
#pragma once
#include <filesystem>

namespace valbench {

/// Prints the row of all classes, and a row for each class where there are fewer than 50 or `verbose` asks
/// for them; then, where it was computed, COCO's twelve numbers, and the speed (reference yolov5.md §6.12).
void print_metrics(const std::filesystem::path& metrics_file, bool verbose);

/// Prints its warnings.
void print_metrics_warnings(const std::filesystem::path& metrics_file);

/// The weights file that metrics.json is of.
std::filesystem::path validated_weights(const std::filesystem::path& metrics_file);

}  // namespace valbench
