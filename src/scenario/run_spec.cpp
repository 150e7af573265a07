#include "scenario/run_spec.h"

#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/error.h"
#include "base/file.h"
#include "scenario/enum_names.h"
#include "scenario/spec_fields.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;

template <class E>
std::string name_of(E value) {
  for (const auto& [candidate, text] : kEnumNames<E>) {
    if (candidate == value) return text;
  }
  throw Error("an enumerator has no name: " + std::to_string(static_cast<int>(value)) + ". Add it to enum_names.h");
}

ordered_json to_json_value(const std::filesystem::path& path) { return path.string(); }
ordered_json to_json_value(const Hyperparameters& hyp);
ordered_json to_json_value(const ValidationSpec& validation);

template <class T>
ordered_json to_json_value(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return name_of(value);
  } else {
    return value;
  }
}

/// Adds each visited field to an object.
struct FieldWriter {
  ordered_json& object;
  template <class T>
  void operator()(const char* name, const T& value) {
    object[name] = to_json_value(value);
  }
};

ordered_json to_json_value(const Hyperparameters& hyp) {
  ordered_json object;
  visit_hyperparameters(hyp, FieldWriter{object});
  return object;
}

ordered_json to_json_value(const ValidationSpec& validation) {
  ordered_json object;
  visit_validation(validation, FieldWriter{object});
  return object;
}

/// Reads each visited field of an object; `prefix` names the object in errors (`validation.`).
struct FieldReader {
  const ordered_json& object;
  std::string prefix;

  [[noreturn]] void fail(const std::string& name, const std::string& reason) const {
    throw RecordError("run spec: field " + prefix + name + ": " + reason);
  }

  void read(const std::string& name, const ordered_json& value, Hyperparameters& hyp) {
    visit_hyperparameters(hyp, FieldReader{value, prefix + name + "."});
  }
  void read(const std::string& name, const ordered_json& value, ValidationSpec& validation) {
    visit_validation(validation, FieldReader{value, prefix + name + "."});
  }
  void read(const std::string&, const ordered_json& value, std::filesystem::path& path) {
    path = value.get<std::string>();
  }
  template <class T>
  void read(const std::string& name, const ordered_json& value, T& field) {
    if constexpr (std::is_enum_v<T>) {
      const auto known = enum_from_name<T>(value.get<std::string>());
      if (!known) fail(name, "unknown value \"" + value.get<std::string>() + "\"");
      field = *known;
    } else {
      if (std::is_integral_v<T> && !std::is_same_v<T, bool> && !value.is_number_integer())
        fail(name, "is not an integer");
      field = value.get<T>();
    }
  }

  template <class T>
  void operator()(const char* name, T& field) {
    if (!object.is_object()) fail("", "is not an object");
    const auto found = object.find(name);
    if (found == object.end()) fail(name, "is missing");
    try {
      read(name, *found, field);
    } catch (const nlohmann::json::exception& error) {
      fail(name, error.what());
    }
  }
};

}  // namespace

std::string to_string(Placement value) { return name_of(value); }
std::string to_string(Precision value) { return name_of(value); }
std::string to_string(BatchShape value) { return name_of(value); }
std::string to_string(EmaUse value) { return name_of(value); }
std::string to_string(ShardMode value) { return name_of(value); }
std::string to_string(Overlap value) { return name_of(value); }
std::string to_string(ScoreMode value) { return name_of(value); }
std::string to_string(LoaderLife value) { return name_of(value); }
std::string to_string(ValidationCache value) { return name_of(value); }
std::string to_string(VerifyMode value) { return name_of(value); }
std::string to_string(GradientSync value) { return name_of(value); }
std::string to_string(DeviceKind value) { return name_of(value); }
std::string to_string(AmpMode value) { return name_of(value); }
std::string to_string(OptimizerKind value) { return name_of(value); }
std::string to_string(CacheMode value) { return name_of(value); }
std::string to_string(Compat value) { return name_of(value); }

std::string run_spec_to_json(const RunSpec& spec) {
  ordered_json object;
  visit_run_spec(spec, FieldWriter{object});
  if (!spec.notices.empty()) object["notices"] = spec.notices;
  try {
    return object.dump(2) + "\n";
  } catch (const nlohmann::json::type_error& error) {  // Paths are bytes, JSON is text.
    throw InputError(std::string("a name or path of the run is not UTF-8 text: ") + error.what() + ". Rename it");
  }
}

RunSpec run_spec_from_json(const std::string& text) {
  ordered_json object;
  try {
    object = ordered_json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw RecordError(std::string("run spec: not JSON: ") + error.what());
  }
  RunSpec spec;
  const int supported = spec.schema_version;
  FieldReader reader{object, {}};
  visit_run_spec(spec, reader);
  if (object.contains("notices")) reader("notices", spec.notices);
  if (spec.schema_version != supported) {
    throw RecordError("run spec: field schema_version: is " + std::to_string(spec.schema_version) +
                      ", this program reads " + std::to_string(supported) + ". Run the sweep again with this version");
  }
  return spec;
}

void write_run_spec(const RunSpec& spec, const std::filesystem::path& file) {
  write_atomically(file, run_spec_to_json(spec));
}

RunSpec read_run_spec(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    return run_spec_from_json(text);
  } catch (const RecordError& error) {
    throw RecordError(file.string() + ": " + error.what());
  }
}

}  // namespace valbench
