#include "record/run_record.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "record/record_fields.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json to_value(const T& value);

/// Adds each visited field to an object.
struct Writer {
  ordered_json& object;
  template <class T>
  void operator()(const char* name, const T& value) {
    object[name] = to_value(value);
  }
};

template <class T>
ordered_json object_of(const T& value) {
  ordered_json object = ordered_json::object();
  visit_fields(value, Writer{object});
  return object;
}

template <class T>
concept Visitable = requires(T& value, Writer& writer) {
  visit_fields(value, writer);
};

template <class T>
ordered_json to_value(const T& value) {
  if constexpr (std::is_same_v<T, Measured>) {
    if (value.value) return *value.value;
    return ordered_json{{"not_measured", value.reason}};
  } else if constexpr (std::is_same_v<T, RunSpec>) {
    return ordered_json::parse(run_spec_to_json(value));
  } else if constexpr (Visitable<const T>) {
    return object_of(value);
  } else if constexpr (requires {
                         typename T::value_type;
                         requires Visitable<const typename T::value_type>;
                       }) {
    ordered_json array = ordered_json::array();
    for (const auto& item : value) array.push_back(to_value(item));
    return array;
  } else {
    return value;
  }
}

/// Reads each visited field; `path` names the object in errors.
struct Reader {
  const ordered_json& object;
  std::string path;

  template <class T>
  static void read(const ordered_json& json, const std::string& path, T& value) {
    if constexpr (std::is_same_v<T, Measured>) {
      if (json.is_null()) {
        value = Measured::not_measured("the value was not finite");
        return;
      }
      value = json.is_object() ? Measured::not_measured(json.at("not_measured")) : Measured::of(json.get<double>());
    } else if constexpr (std::is_same_v<T, RunSpec>) {
      value = run_spec_from_json(json.dump());
    } else if constexpr (Visitable<T>) {
      visit_fields(value, Reader{json, path + "."});
    } else if constexpr (requires {
                           typename T::value_type;
                           requires Visitable<typename T::value_type>;
                         }) {
      for (std::size_t i = 0; i < json.size(); ++i)
        read(json.at(i), path + "[" + std::to_string(i) + "]", value.emplace_back());
    } else {
      if constexpr (std::is_same_v<T, std::array<double, 3>>) {
        if (json.size() != value.size()) throw RecordError("run record: field " + path + ": must hold 3 numbers");
        for (std::size_t i = 0; i < value.size(); ++i) read(json.at(i), path + "[" + std::to_string(i) + "]", value[i]);
        return;
      }
      // JSON has no NaN or infinity: nlohmann writes null.
      if constexpr (std::is_floating_point_v<T>) {
        if (json.is_null()) {
          value = std::numeric_limits<T>::quiet_NaN();
          return;
        }
      }
      json.get_to(value);
    }
  }

  template <class T>
  void operator()(const char* name, T& value) {
    const auto found = object.find(name);
    if (found == object.end()) throw RecordError("run record: field " + path + name + " is missing");
    try {
      read(*found, path + name, value);
    } catch (const nlohmann::json::exception& error) {
      throw RecordError("run record: field " + path + name + ": " + error.what());
    }
  }
};

}  // namespace

std::string run_record_to_json(const RunRecord& record) {
  // Warnings quote the user's files, which hold any bytes: those that are no text become U+FFFD, and no record is lost for them.
  return object_of(record).dump(1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace) + "\n";
}

RunRecord run_record_from_json(const std::string& text) {
  ordered_json object;
  try {
    object = ordered_json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw RecordError(std::string("run record: not JSON: ") + error.what());
  }
  if (!object.is_object()) throw RecordError("run record: not a JSON object");
  const auto found = object.find("schema_version");
  const int version = found != object.end() && found->is_number_integer() ? found->get<int>() : 0;
  if (version < 1) throw RecordError("run record: field schema_version is missing or no number from 1 up");
  if (version != kRunRecordVersion) {
    const bool older = version < kRunRecordVersion;
    throw RecordError(std::string("run record: made by ") + (older ? "an older" : "a newer") + " valbench: schema_version is " +
                      std::to_string(version) + ", this one reads " + std::to_string(kRunRecordVersion) + ". " +
                      (older ? "Run it again into another folder, or read it with the valbench that made it" : "Use that valbench"));
  }
  RunRecord record;
  visit_fields(record, Reader{object, {}});
  return record;
}

void write_run_record(const RunRecord& record, const std::filesystem::path& file) {
  write_atomically(file, run_record_to_json(record));
}

RunRecord read_run_record(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    return run_record_from_json(text);
  } catch (const RecordError& error) {
    throw RecordError(file.string() + ": " + error.what());
  }
}

}  // namespace valbench
