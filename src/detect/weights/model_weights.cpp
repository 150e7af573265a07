#include "detect/weights/model_weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/mapped_file.h"
#include "detect/weights/pt_archive.h"
#include "detect/weights/safetensors.h"

namespace valbench {
namespace {

const at::Tensor* find(const NamedTensors& state, const std::string& name) {
  const auto found = std::find_if(state.begin(), state.end(), [&name](const auto& entry) { return entry.first == name; });
  return found == state.end() ? nullptr : &found->second;
}

/// Size by the channels of the first layer, which differ between all sizes, and P6 by its four levels.
void describe(ModelWeights& weights) {
  static const std::map<std::int64_t, std::string> sizes = {{16, "n"}, {32, "s"}, {48, "m"}, {64, "l"}, {80, "x"}};
  const NamedTensors& state = weights.model;
  const auto anchors = std::find_if(state.begin(), state.end(), [](const auto& e) { return e.first.ends_with(".anchors") && e.second.dim() == 3; });
  if (anchors == state.end()) return;
  const std::string head = anchors->first.substr(0, anchors->first.size() - std::string("anchors").size());
  const at::Tensor* bias = find(state, head + "m.0.bias");
  const std::int64_t per_cell = anchors->second.size(1), levels = anchors->second.size(0);
  if (bias != nullptr && per_cell > 0) weights.classes = static_cast<int>(bias->numel() / per_cell - 5);
  const at::Tensor* first = find(state, "model.0.conv.weight");
  const auto size = first == nullptr || first->dim() != 4 ? sizes.end() : sizes.find(first->size(0));
  if (size != sizes.end() && (head == "model.24." || head == "model.33.")) weights.model_name = "yolov5" + size->second + (levels == 4 ? "6" : "");
}

bool looks_like_safetensors(const std::filesystem::path& file) {
  const MappedFile content(file);
  const auto bytes = content.bytes();
  // Too short for a header, or one that begins as JSON: the safetensors reader says what is wrong.
  return bytes.size() < 9 || bytes[8] == std::byte{'{'};
}

}  // namespace

ModelWeights read_model_weights(const std::filesystem::path& file) {
  ModelWeights weights;
  if (!begins_as_zip(file) && looks_like_safetensors(file)) {
    SafetensorsFile content = read_safetensors(file);
    for (auto& entry : content.tensors) {
      if (!entry.first.starts_with("train.")) weights.model.push_back(std::move(entry));
    }
    std::stringstream names(content.metadata["names"]);
    for (std::string name; std::getline(names, name, ',');) weights.class_names.push_back(name);
    weights.yaml_text = content.metadata["yaml_text"];
    weights.yaml_file = content.metadata["model"];
  } else {
    PtCheckpoint checkpoint = read_pt_checkpoint(file);  // Says what a file that is neither is.
    weights.model = std::move(checkpoint.model);
    weights.ema = std::move(checkpoint.ema);
    weights.class_names = std::move(checkpoint.class_names);
    weights.yaml = std::move(checkpoint.yaml);
    // JSON is YAML, too.
    weights.yaml_text = weights.yaml.is_object() ? weights.yaml.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                                                 : std::move(checkpoint.yaml_text);
    weights.yaml_file = std::move(checkpoint.yaml_file);
  }
  describe(weights);
  return weights;
}

int load_model_weights(const std::filesystem::path& file, const LoadOptions& options, DetectionModel& model) {
  const ModelWeights weights = read_model_weights(file);
  NamedTensors chosen = options.ema ? weights.best() : weights.model;
  if (!options.anchors) std::erase_if(chosen, [](const auto& entry) { return entry.first.find("anchor") != std::string::npos; });
  const std::string what = weights.model_name.empty() ? "another model" : weights.model_name;
  if (options.whole && weights.classes > 0 && weights.classes != model.classes()) {
    throw InputError(fmt::format("{}: holds a model of {} classes, but {} are asked for; use the data set that it was trained on",
                                 file.string(), weights.classes, model.classes()));
  }
  const int copied = load_matching_state(model, chosen);
  // Another number of classes leaves all but the last layers; of another model size only a few small tensors fit by chance.
  const int wanted = static_cast<int>(model.state().size());
  if (copied < wanted / 2 || (options.whole && options.anchors && copied < wanted)) {
    throw InputError(fmt::format("{}: holds weights of {}: only {} of the {} tensors of {} are in it by name and shape; choose the model that "
                                 "it was trained as", file.string(), what, copied, wanted, model.name()));
  }
  return copied;
}

}  // namespace valbench
