#include "train/strip_checkpoints.h"

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "detect/weights/pt_writer.h"
#include "scenario/layer_table.h"
#include "train/training_state.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;

/// What Python needs to build the model and to read its output, by YOLOv5's names where it has them.
ordered_json plain_info(const RunSpec& spec, const SafetensorsFile& content) {
  const auto value = [&](const char* key) {
    const auto found = content.metadata.find(key);
    return found == content.metadata.end() ? std::string() : found->second;
  };
  ordered_json names = ordered_json::array();
  std::istringstream list(value("names"));
  for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  const bool own_model = is_model_file(spec.model);
  return {{"epoch", -1},
          {"best_fitness", nullptr},
          {"yaml_file", own_model ? spec.model : spec.model + ".yaml"},
          {"yaml_text", own_model ? read_file(spec.model) : std::string()},
          {"nc", std::stoi(value("classes"))},
          {"names", names},
          {"imgsz", spec.imgsz}};
}

}  // namespace

void strip_checkpoints(const RunSpec& spec) {
  const std::filesystem::path folder = spec.folder / "weights";
  for (const char* name : {"last", "best"}) {
    const auto file = folder / (std::string(name) + ".safetensors");
    if (!std::filesystem::exists(file)) continue;
    SafetensorsFile content = read_safetensors(file);
    remove_training_state(content);
    write_safetensors(file, content);
    write_plain_pt(folder / (std::string(name) + ".pt"), content.tensors, plain_info(spec, content));
  }
}

}  // namespace valbench
