#include "scenario/val_spec.h"

#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/error.h"
#include "base/file.h"
#include "scenario/rank_roles.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;

/// Calls visit(name, field) for every field.
template <class Spec, class Visit>
void visit_val_spec(Spec& s, Visit&& visit) {
  visit("schema_version", s.schema_version), visit("name", s.name), visit("weights", s.weights), visit("data", s.data);
  visit("task", s.task), visit("imgsz", s.imgsz), visit("batch_size", s.batch_size), visit("conf_thres", s.conf_thres);
  visit("iou_thres", s.iou_thres), visit("max_det", s.max_det), visit("shape", s.shape), visit("ranks", s.ranks);
  visit("device", s.device), visit("device_ids", s.device_ids), visit("workers", s.workers);
  visit("torch_threads", s.torch_threads), visit("half", s.half), visit("augment", s.augment);
  visit("single_cls", s.single_cls), visit("verbose", s.verbose), visit("plots", s.plots);
  visit("save_txt", s.save_txt), visit("save_conf", s.save_conf), visit("save_json", s.save_json);
  visit("folder", s.folder);
}

template <class T>
ordered_json to_json_value(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    for (const auto& [candidate, text] : kEnumNames<T>) {
      if (candidate == value) return text;
    }
    throw Error("a validation setting has no name: " + std::to_string(static_cast<int>(value)));
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    return value.string();
  } else {
    return value;
  }
}

template <class T>
void from_json_value(const ordered_json& value, T& field) {
  if constexpr (std::is_enum_v<T>) {
    const auto known = enum_from_name<T>(value.get<std::string>());
    if (!known) throw RecordError("unknown value \"" + value.get<std::string>() + "\"");
    field = *known;
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    field = value.get<std::string>();
  } else {
    field = value.get<T>();
  }
}

}  // namespace

ValSpec closing_val_spec(const RunSpec& run, bool plots) {
  ValSpec spec;
  spec.name = run.run_id;
  spec.weights = run.folder / "weights" / "best";
  spec.data = run.data;
  spec.imgsz = run.imgsz;
  spec.batch_size = 2 * run.batch_size / training_ranks(run);
  spec.ranks = training_ranks(run);
  spec.device = run.device;
  spec.device_ids = run.device_ids;
  spec.workers = run.workers;
  spec.torch_threads = run.torch_threads;
  spec.half = run.device == DeviceKind::cuda;  // Whatever the training used.
  spec.single_cls = run.single_cls;
  spec.plots = plots;
  spec.folder = run.folder;
  return spec;
}

RunSpec rank_layout(const ValSpec& spec) {
  RunSpec layout;
  layout.scenario = "val";
  layout.run_id = spec.name;
  layout.weights = spec.weights;
  layout.data = spec.data;
  layout.imgsz = spec.imgsz;
  layout.epochs = 1;
  layout.batch_size = layout.validation.batch_size = spec.batch_size;
  layout.ranks = spec.ranks;
  layout.device = spec.device;
  layout.device_ids = spec.device_ids;
  layout.workers = spec.workers;
  layout.torch_threads = spec.torch_threads;
  layout.folder = spec.folder;
  return layout;
}

std::string val_spec_to_json(const ValSpec& spec) {
  ordered_json object;
  visit_val_spec(spec, [&](const char* name, const auto& value) { object[name] = to_json_value(value); });
  return object.dump(2) + "\n";
}

ValSpec val_spec_from_json(const std::string& text) {
  const ordered_json object = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw RecordError("validation spec: not a JSON object");
  ValSpec spec;
  const int supported = spec.schema_version;
  visit_val_spec(spec, [&](const char* name, auto& field) {
    const std::string where = std::string("validation spec: field ") + name + ": ";
    const auto found = object.find(name);
    if (found == object.end()) throw RecordError(where + "is missing");
    try {
      from_json_value(*found, field);
    } catch (const std::exception& error) {
      throw RecordError(where + error.what());
    }
  });
  if (spec.schema_version != supported) {
    throw RecordError("validation spec: field schema_version: is " + std::to_string(spec.schema_version) +
                      ", this program reads " + std::to_string(supported));
  }
  return spec;
}

void write_val_spec(const ValSpec& spec, const std::filesystem::path& file) {
  write_atomically(file, val_spec_to_json(spec));
}

ValSpec read_val_spec(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    return val_spec_from_json(text);
  } catch (const RecordError& error) {
    throw RecordError(file.string() + ": " + error.what());
  }
}

}  // namespace valbench
