#include "train/strip_checkpoints.h"

#include <filesystem>

#include "base/file.h"
#include "detect/weights/pt_writer.h"
#include "scenario/layer_table.h"
#include "scenario/spec_fields.h"
#include "train/training_state.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;

/// What Python needs to build the model and to read its output, by YOLOv5's names where it has them.
ordered_json plain_info(const RunSpec& spec, const std::vector<std::string>& class_names) {
  ordered_json hyp = ordered_json::object();
  visit_hyperparameters(spec.hyp, [&hyp](const char* name, double value) { hyp[name] = value; });
  const bool own_model = is_model_file(spec.model);
  return {{"epoch", -1},
          {"best_fitness", nullptr},
          {"yaml_file", own_model ? spec.model : spec.model + ".yaml"},
          {"yaml_text", own_model ? read_file(spec.model) : std::string()},
          {"nc", class_names.size()},
          {"names", class_names},
          {"imgsz", spec.imgsz},
          {"hyp", hyp}};
}

}  // namespace

void strip_checkpoints(const RunSpec& spec, const std::vector<std::string>& class_names) {
  const std::filesystem::path folder = spec.folder / "weights";
  for (const char* name : {"last", "best"}) {
    const auto file = folder / (std::string(name) + ".safetensors");
    if (!std::filesystem::exists(file)) continue;
    SafetensorsFile content = read_safetensors(file);
    remove_training_state(content);
    write_safetensors(file, content);
    write_plain_pt(folder / (std::string(name) + ".pt"), content.tensors, plain_info(spec, class_names));
  }
}

}  // namespace valbench
