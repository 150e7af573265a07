/// \file
/// One map of a YAML file, read key by key with errors that name file, line, key, value and what is allowed.
#pragma once
#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "scenario/enum_names.h"
#include "scenario/scenario.h"

namespace valbench {

/// Where values come from: a YAML file and the overrides laid over it.
struct YamlSource {
  std::string file;              ///< As shown in errors; empty = overrides alone.
  /// Absolute. Relative paths of the file start here; those of overrides in the current folder.
  std::filesystem::path folder;
  std::vector<Override> overrides;

  /// Parses the file and lays the overrides over it. Throws ScenarioError, InputError.
  YAML::Node load() const;
  /// The override that set `path` or a part above it; null when the file did.
  const Override* override_of(const std::string& path) const;
  /// `path` is the dotted key, `value` its value as shown.
  [[noreturn]] void fail(const std::string& path, int line, const std::string& value, const std::string& reason,
                         const std::string& allowed) const;
};

/// A map node. Unknown and repeated keys are refused on construction.
class YamlSection {
 public:
  /// \param path dotted name of the map, empty for the root. \param node a map, or nothing.
  YamlSection(const YamlSource& source, const YAML::Node& node, std::string path, std::vector<std::string> keys);

  bool has(const std::string& key) const;
  YAML::Node node(const std::string& key) const;  ///< Undefined when absent.
  std::string path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  const YamlSource& source() const { return source_; }

  // Each leaves the field as it is when the key is absent.
  void text(const std::string& key, std::string& field) const;
  void boolean(const std::string& key, bool& field) const;
  void number(const std::string& key, double& field, double low, double high) const;  ///< low <= value <= high
  template <class T>
  void integer(const std::string& key, T& field, std::int64_t low, std::int64_t high) const {
    if (has(key)) field = static_cast<T>(checked_integer(key, low, high));
  }
  template <class E>
  void choice(const std::string& key, E& field) const {
    if (!has(key)) return;
    const auto value = enum_from_name<E>(scalar(key, names_of<E>()));
    if (!value) fail(key, "unknown value", names_of<E>());
    field = *value;
  }
  /// A scalar as written; `allowed` is for the error when it is a list or a map.
  std::string scalar(const std::string& key, const std::string& allowed) const;
  /// A path, made absolute.
  std::filesystem::path path(const std::string& key, const std::string& allowed) const;

  [[noreturn]] void fail(const std::string& key, const std::string& reason, const std::string& allowed) const;

 private:
  template <class E>
  static std::string names_of() {
    std::string all;
    for (const auto& name : all_enum_names<E>()) all += (all.empty() ? "" : ", ") + name;
    return all;
  }
  std::int64_t checked_integer(const std::string& key, std::int64_t low, std::int64_t high) const;
  void check_keys() const;

  const YamlSource& source_;
  YAML::Node node_;
  std::string path_;
  std::vector<std::string> keys_;
};

/// Names with commas between: `a, b, c`.
std::string joined(const std::vector<std::string>& names);
/// The name most like `word`, empty when none is close.
std::string nearest_name(const std::string& word, const std::vector<std::string>& names);

}  // namespace valbench
