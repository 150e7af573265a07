#include "scenario/yaml_section.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace valbench {
namespace {

std::string shown(const YAML::Node& node) {
  if (!node.IsDefined() || node.IsNull()) return "(nothing)";
  if (node.IsScalar()) return node.Scalar();
  return node.IsSequence() ? "[list]" : "{map}";
}

std::string shown(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

int line_of(const YAML::Node& node) { return node.IsDefined() ? node.Mark().line + 1 : 0; }

std::vector<std::string> split_dots(const std::string& key) {
  std::vector<std::string> parts;
  std::istringstream in(key);
  for (std::string part; std::getline(in, part, '.');) parts.push_back(part);
  return parts;
}

void set_value(YAML::Node parent, const std::vector<std::string>& keys, std::size_t at, const YAML::Node& value,
               const Override& override) {
  if (at + 1 == keys.size()) {
    // Assigning to an existing node would also change what shares it through an anchor.
    parent.remove(keys[at]);
    parent[keys[at]] = value;
    return;
  }
  const YAML::Node existing = static_cast<const YAML::Node&>(parent)[keys[at]];
  if (!existing.IsDefined() || existing.IsNull() || (existing.IsScalar() && keys[at] == "hyp")) {
    YAML::Node map(YAML::NodeType::Map);
    // `hyp: VOC` with `--set hyp.lr0=0.1` means: VOC with another lr0.
    if (existing.IsDefined() && existing.IsScalar()) map["base"] = existing.Scalar();
    parent.remove(keys[at]);
    parent[keys[at]] = map;
  } else if (!existing.IsMap()) {
    throw InputError(override.shown + ": " + keys[at] + " is not a map of keys in the scenario. Set it as a whole");
  }
  set_value(parent[keys[at]], keys, at + 1, value, override);
}

}  // namespace

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

std::string nearest_name(const std::string& word, const std::vector<std::string>& names) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& name : names) {
    std::vector<std::size_t> row(name.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= name.size(); ++j) {
        const std::size_t replaced = diagonal + (word[i - 1] == name[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
      }
    }
    if (row.back() < best_distance) best = name, best_distance = row.back();
  }
  return best;
}

YAML::Node YamlSource::load() const {
  std::string content = "{}";  // Without a file there are only overrides.
  try {
    if (!file.empty()) content = read_file(file);
  } catch (const RecordError& error) {
    throw InputError(std::string(error.what()) + ". Give the path of a YAML file");
  }
  YAML::Node root;
  try {
    root = YAML::Load(content);
  } catch (const YAML::ParserException& error) {
    throw ScenarioError(file, error.mark.line + 1, "not YAML: " + error.msg);
  }
  if (!root.IsMap()) throw ScenarioError(file, 1, "is not a map of keys. Write lines such as `model: yolov5n`");
  for (const Override& o : overrides) {
    try {
      set_value(root, split_dots(o.key), 0, YAML::Load(o.value), o);
    } catch (const YAML::Exception& error) {
      throw InputError(o.shown + ": not a YAML value: " + error.msg);
    }
  }
  return root;
}

const Override* YamlSource::override_of(const std::string& path) const {
  const Override* found = nullptr;
  for (const Override& o : overrides) {
    if (path == o.key || path.starts_with(o.key + ".") || path.starts_with(o.key + "[")) found = &o;
  }
  return found;
}

void YamlSource::fail(const std::string& path, int line, const std::string& value, const std::string& reason,
                      const std::string& allowed) const {
  const std::string tail = reason + (reason.ends_with('?') ? " Allowed: " : ". Allowed: ") + allowed;
  if (const Override* o = override_of(path)) throw InputError(o->shown + ": " + tail);
  throw ScenarioError(file, line, path + (value.empty() ? "" : " = " + value) + ": " + tail);
}

YamlSection::YamlSection(const YamlSource& source, const YAML::Node& node, std::string path,
                         std::vector<std::string> keys)
    : source_(source),
      node_(!node.IsDefined() || node.IsNull() ? YAML::Node(YAML::NodeType::Map) : node),
      path_(std::move(path)),
      keys_(std::move(keys)) {
  if (!node_.IsMap()) {
    source_.fail(path_, line_of(node_), shown(node_), "is not a map of keys", joined(keys_));
  }
  check_keys();
}

void YamlSection::check_keys() const {
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    const std::string key = shown(entry.first);
    const int line = line_of(entry.first);
    if (std::find(keys_.begin(), keys_.end(), key) == keys_.end()) {
      const std::string near = nearest_name(key, keys_);
      source_.fail(path_of(key), line, shown(entry.second),
                   near.empty() ? "unknown key" : "unknown key, did you mean " + near + "?", joined(keys_));
    }
    if (!seen.insert(key).second)
      source_.fail(path_of(key), line, shown(entry.second), "the key stands here twice", "each key once");
  }
}

YAML::Node YamlSection::node(const std::string& key) const {
  // A key that is read but not declared would be refused when a user wrote it.
  if (std::find(keys_.begin(), keys_.end(), key) == keys_.end())
    throw Error("scenario key " + path_of(key) + " is not declared");
  return static_cast<const YAML::Node&>(node_)[key];
}

bool YamlSection::has(const std::string& key) const { return node(key).IsDefined(); }

void YamlSection::fail(const std::string& key, const std::string& reason, const std::string& allowed) const {
  const YAML::Node value = node(key);
  const int line = line_of(value) > 0 ? line_of(value) : line_of(node_);
  source_.fail(path_of(key), line, value.IsDefined() ? shown(value) : std::string(), reason, allowed);
}

std::string YamlSection::scalar(const std::string& key, const std::string& allowed) const {
  const YAML::Node value = node(key);
  if (!value.IsScalar()) fail(key, "wrong type", allowed);
  if (!is_utf8(value.Scalar())) fail(key, "is not UTF-8 text", allowed);
  return value.Scalar();
}

void YamlSection::text(const std::string& key, std::string& field) const {
  if (!has(key)) return;
  field = scalar(key, "text");
  if (field.empty()) fail(key, "is empty", "text");
}

void YamlSection::boolean(const std::string& key, bool& field) const {
  if (!has(key)) return;
  const std::string value = scalar(key, "true, false");
  if (value != "true" && value != "false" && value != "on" && value != "off") fail(key, "wrong type", "true, false");
  field = value == "true" || value == "on";
}

void YamlSection::number(const std::string& key, double& field, double low, double high) const {
  if (!has(key)) return;
  const std::string allowed =
      std::isinf(high) ? "a number from " + shown(low) + " up" : "a number from " + shown(low) + " to " + shown(high);
  const std::string value = scalar(key, allowed);
  double parsed = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(parsed))
    fail(key, "wrong type", allowed);
  if (parsed < low || parsed > high) fail(key, "out of range", allowed);
  field = parsed;
}

std::int64_t YamlSection::checked_integer(const std::string& key, std::int64_t low, std::int64_t high) const {
  const bool open = high == std::numeric_limits<std::int64_t>::max() || high == std::numeric_limits<int>::max();
  const std::string allowed = open ? "an integer from " + std::to_string(low) + " up"
                                   : "an integer from " + std::to_string(low) + " to " + std::to_string(high);
  const std::string value = scalar(key, allowed);
  std::int64_t parsed = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error == std::errc::result_out_of_range) fail(key, "out of range", allowed);
  if (error != std::errc() || end != value.data() + value.size()) fail(key, "wrong type", allowed);
  if (parsed < low || parsed > high) fail(key, "out of range", allowed);
  return parsed;
}

std::filesystem::path YamlSection::path(const std::string& key, const std::string& allowed) const {
  const std::filesystem::path written = scalar(key, allowed);
  if (written.empty()) fail(key, "is empty", allowed);
  const bool from_option = source_.override_of(path_of(key)) != nullptr;
  const auto start = from_option ? std::filesystem::current_path() : source_.folder;
  return (start / written).lexically_normal();
}

}  // namespace valbench
