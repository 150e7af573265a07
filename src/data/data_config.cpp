#include <yaml-cpp/yaml.h>

#include <map>

#include "base/error.h"
#include "base/path_kind.h"
#include "base/utf8.h"
#include "data/yolo_dataset.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, const YAML::Node& node, const std::string& message) {
  throw ScenarioError(file.string(), node.Mark().is_null() ? 0 : node.Mark().line + 1, message);
}

std::string text_of(const fs::path& file, const YAML::Node& node, const std::string& key) {
  if (!node.IsScalar() || node.Scalar().empty())
    fail(file, node, key + " must be a text, such as " + key + ": images/" + key);
  if (!is_utf8(node.Scalar())) fail(file, node, key + " is not UTF-8 text. Save the file as UTF-8");
  return node.Scalar();
}

YAML::Node load(const fs::path& file) {
  if (!is_file(file)) {
    throw ScenarioError(file.string(), 0, "no such data.yaml. Give a file with the keys path, train, val and names");
  }
  try {
    YAML::Node root = YAML::LoadFile(file.string());
    if (!root.IsMap()) throw ScenarioError(file.string(), 1, "not a map of keys. Expected path, train, val and names");
    return root;
  } catch (const YAML::Exception& error) {
    throw ScenarioError(file.string(), error.mark.line + 1, "not valid YAML: " + error.msg);
  }
}

// A path relative to the root; as YOLOv5, also tried without a leading "../".
fs::path resolve(const fs::path& root, const std::string& entry) {
  fs::path path = (root / entry).lexically_normal();
  if (!path_exists(path) && entry.starts_with("../")) {
    if (const fs::path inside = (root / entry.substr(3)).lexically_normal(); path_exists(inside)) return inside;
  }
  return path;
}

std::vector<fs::path> read_split(const fs::path& file, const fs::path& root, const YAML::Node& map,
                                 const std::string& key) {
  std::vector<fs::path> paths;
  const YAML::Node node = map[key];
  if (!node || node.IsNull()) {
    if (key == "test") return paths;
    fail(file, map,
         key + ": missing. Add " + key + ": with a folder of images, a .txt list of images, or a list of those");
  }
  if (node.IsSequence()) {
    for (const YAML::Node& entry : node) paths.push_back(resolve(root, text_of(file, entry, key)));
  } else {
    paths.push_back(resolve(root, text_of(file, node, key)));
  }
  if (paths.empty()) fail(file, node, key + ": empty list. Name at least one folder of images");
  return paths;
}

std::vector<std::string> read_names(const fs::path& file, const YAML::Node& map) {
  const YAML::Node node = map["names"];
  if (!node) fail(file, map, "names: missing. Add the class names, as a list or as number: name");
  std::vector<std::string> names;
  if (node.IsSequence()) {
    for (const YAML::Node& name : node) names.push_back(text_of(file, name, "names"));
  } else if (node.IsMap()) {
    std::map<int, std::string> numbered;
    for (const auto& entry : node) {
      int number = -1;
      if (!YAML::convert<int>::decode(entry.first, number) || number < 0) {
        fail(file, entry.first,
             "names: \"" + entry.first.as<std::string>("") + "\" is not a class number. Number the classes from 0");
      }
      numbered[number] = text_of(file, entry.second, "names");
    }
    for (const auto& [number, name] : numbered) {
      if (number != static_cast<int>(names.size())) {
        fail(file, node,
             "names: class " + std::to_string(names.size()) + " is missing. Number the classes 0.." +
                 std::to_string(numbered.size() - 1) + " without gaps");
      }
      names.push_back(name);
    }
  } else {
    fail(file, node, "names: must be a list of class names, or number: name");
  }
  if (names.empty()) fail(file, node, "names: empty. Name at least one class");
  return names;
}

}  // namespace

DataConfig read_data_config(const fs::path& file) {
  const YAML::Node root = load(file);
  DataConfig config;
  config.file = fs::absolute(file).lexically_normal();
  fs::path folder = config.file.parent_path();
  if (const YAML::Node path = root["path"]; path && !path.IsNull()) folder /= text_of(file, path, "path");
  config.names = read_names(file, root);
  config.train = read_split(file, folder, root, "train");
  config.val = read_split(file, folder, root, "val");
  config.test = read_split(file, folder, root, "test");
  return config;
}

}  // namespace valbench
