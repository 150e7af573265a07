// The built-in networks (reference yolov5.md §1.3, §1.4).
#include "scenario/layer_table.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "scenario/model_yaml.h"
#include "scenario/yaml_section.h"

namespace valbench {
namespace {

LayerRow conv(int channels, int kernel, int stride, int padding = -1) {
  return {.channels = channels, .kernel = kernel, .stride = stride, .padding = padding};
}
LayerRow c3(int channels, int repeats) { return {.repeats = repeats, .kind = LayerKind::c3, .channels = channels}; }
LayerRow head_c3(int channels) {
  return {.repeats = 3, .kind = LayerKind::c3, .channels = channels, .shortcut = false};
}
LayerRow sppf(int channels) { return {.kind = LayerKind::sppf, .channels = channels, .kernel = 5}; }
LayerRow upsample() { return {.kind = LayerKind::upsample}; }
LayerRow concat_with(int layer) { return {.from = {-1, layer}, .kind = LayerKind::concat}; }
LayerRow detect(std::vector<int> from) { return {.from = std::move(from), .kind = LayerKind::detect}; }

// clang-format off: one network stage a line
const std::vector<LayerRow>& p5_rows() {
  static const std::vector<LayerRow> rows = {
      conv(64, 6, 2, 2), conv(128, 3, 2), c3(128, 3),
      conv(256, 3, 2), c3(256, 6),
      conv(512, 3, 2), c3(512, 9),
      conv(1024, 3, 2), c3(1024, 3), sppf(1024),
      conv(512, 1, 1), upsample(), concat_with(6), head_c3(512),
      conv(256, 1, 1), upsample(), concat_with(4), head_c3(256),
      conv(256, 3, 2), concat_with(14), head_c3(512),
      conv(512, 3, 2), concat_with(10), head_c3(1024),
      detect({17, 20, 23})};
  return rows;
}

const std::vector<LayerRow>& p6_rows() {
  static const std::vector<LayerRow> rows = {
      conv(64, 6, 2, 2), conv(128, 3, 2), c3(128, 3),
      conv(256, 3, 2), c3(256, 6),
      conv(512, 3, 2), c3(512, 9),
      conv(768, 3, 2), c3(768, 3),
      conv(1024, 3, 2), c3(1024, 3), sppf(1024),
      conv(768, 1, 1), upsample(), concat_with(8), head_c3(768),
      conv(512, 1, 1), upsample(), concat_with(6), head_c3(512),
      conv(256, 1, 1), upsample(), concat_with(4), head_c3(256),
      conv(256, 3, 2), concat_with(20), head_c3(512),
      conv(512, 3, 2), concat_with(16), head_c3(768),
      conv(768, 3, 2), concat_with(12), head_c3(1024),
      detect({23, 26, 29, 32})};
  return rows;
}
// clang-format on

/// Depth and width of a size.
struct Scale {
  const char* size;
  double depth, width;
};
constexpr Scale kScales[] = {
    {"n", 0.33, 0.25}, {"s", 0.33, 0.50}, {"m", 0.67, 0.75}, {"l", 1.0, 1.0}, {"x", 1.33, 1.25}};

}  // namespace

const AnchorTable& p5_anchors() {
  static const AnchorTable table = {{10, 13, 16, 30, 33, 23}, {30, 61, 62, 45, 59, 119}, {116, 90, 156, 198, 373, 326}};
  return table;
}

const AnchorTable& p6_anchors() {
  static const AnchorTable table = {{19, 27, 44, 40, 38, 94},
                                    {96, 68, 86, 152, 180, 137},
                                    {140, 301, 303, 264, 238, 542},
                                    {436, 615, 739, 380, 925, 792}};
  return table;
}

AnchorTable placeholder_anchors(int levels, int per_level) {
  std::vector<double> level;
  for (int i = 0; i < 2 * per_level; ++i) level.push_back(i);
  return AnchorTable(static_cast<std::size_t>(levels), level);
}

const std::vector<std::string>& builtin_models() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const char* suffix : {"", "6"}) {
      for (const Scale& scale : kScales) all.push_back(std::string("yolov5") + scale.size + suffix);
    }
    return all;
  }();
  return names;
}

bool is_model_file(const std::string& model) { return model.ends_with(".yaml") || model.ends_with(".yml"); }

std::string model_name(const std::string& model) {
  return is_model_file(model) ? std::filesystem::path(model).stem().string() : model;
}

LayerTable model_table(const std::string& model, Compat compat) {
  if (is_model_file(model)) return read_model_yaml(model, compat);
  for (const Scale& scale : kScales) {
    const std::string p5 = std::string("yolov5") + scale.size;
    if (model != p5 && model != p5 + "6") continue;
    const bool p6 = model != p5;
    LayerTable table;
    table.rows = p6 ? p6_rows() : p5_rows();
    table.anchors = p6 ? p6_anchors() : p5_anchors();
    table.depth = scale.depth, table.width = scale.width;
    return table;
  }
  throw InputError("model = " + model + ": unknown model. Allowed: " + joined(builtin_models()) +
                   ", or the path of a model YAML file");
}

}  // namespace valbench
