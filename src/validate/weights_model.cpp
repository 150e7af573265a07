#include "validate/weights_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <sstream>

#include "base/error.h"
#include "detect/weights/safetensors.h"

namespace valbench {
namespace {

constexpr const char* kFirstWeights = "model.0.conv.weight";

/// Size by the channels of the first convolution, P5 or P6 by the place of the detection layer (reference yolov5.md §1.3, §1.4).
std::string model_name(const std::filesystem::path& file, const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::int64_t channels = 0;
  bool p6 = false;
  for (const auto& [name, tensor] : tensors) {
    if (name == kFirstWeights) channels = tensor.size(0);
    p6 = p6 || name == "model.33.m.0.weight";
  }
  constexpr std::pair<int, char> kSizes[] = {{16, 'n'}, {32, 's'}, {48, 'm'}, {64, 'l'}, {80, 'x'}};
  for (const auto& [width, size] : kSizes) {
    if (channels == width) return std::string("yolov5") + size + (p6 ? "6" : "");
  }
  if (channels == 0) throw InputError(fmt::format("{}: holds no YOLOv5 weights: no tensor {}", file.string(), kFirstWeights));
  throw InputError(fmt::format("{}: holds weights of an unknown model: its first layer has {} channels", file.string(), channels));
}

/// From the outputs of the detection layer: 3 anchors of classes + 5 numbers.
int class_count(const std::filesystem::path& file, const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (name != "model.24.m.0.bias" && name != "model.33.m.0.bias") continue;
    const std::int64_t outputs = tensor.numel();
    if (outputs % 3 == 0 && outputs / 3 > 5) return static_cast<int>(outputs / 3 - 5);
  }
  throw InputError(fmt::format("{}: holds no detection layer of YOLOv5, so its number of classes is unknown", file.string()));
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream in(text);
  for (std::string name; std::getline(in, name, ',');) names.push_back(name);
  return names;
}

}  // namespace

WeightsModel load_weights_model(const std::filesystem::path& file) {
  const SafetensorsFile content = read_safetensors(file);
  const auto text = [&](const char* key) {
    const auto found = content.metadata.find(key);
    return found == content.metadata.end() ? std::string() : found->second;
  };
  const std::string name = text("model").empty() ? model_name(file, content.tensors) : text("model");
  WeightsModel loaded;
  const int classes = class_count(file, content.tensors);
  loaded.model = make_yolov5(name, classes, 0);
  const int copied = load_matching_state(*loaded.model, content.tensors);
  const std::size_t wanted = loaded.model->state().size();
  if (static_cast<std::size_t>(copied) != wanted) {
    throw InputError(fmt::format("{}: only {} of the {} tensors of {} are in it by name and shape: no complete weights file", file.string(),
                                 copied, wanted, name));
  }
  loaded.names = split_names(text("names"));
  return loaded;
}

}  // namespace valbench
