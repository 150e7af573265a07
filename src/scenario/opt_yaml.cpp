// opt.yaml and hyp.yaml of a run folder (reference yolov5.md §8.3).
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <set>

#include "base/error.h"
#include "scenario/spec_fields.h"
#include "scenario/train_options.h"
#include "scenario/yaml_section.h"

namespace valbench {
namespace {

/// The shortest text that reads back to the same number, `1.0` for a whole one. Python's YAML takes `5e-04` for text, so
/// there is no exponent.
std::string shown_number(double value) {
  char text[400];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed);
  std::string shown(text, end);
  return shown.find('.') == std::string::npos ? shown + ".0" : shown;
}

void write_hyp(YAML::Emitter& out, const Hyperparameters& hyp) {
  out << YAML::BeginMap;
  visit_hyperparameters(hyp, [&](const std::string& name, double value) {
    // YOLOv5's sets have this key only where anchors are to be made anew.
    if (name == "anchors" && value == 0) return;
    out << YAML::Key << name << YAML::Value << shown_number(value);
  });
  out << YAML::EndMap;
}

void write_list(YAML::Emitter& out, const std::string& words) {
  out << YAML::Flow << YAML::BeginSeq;
  std::size_t begin = 0;
  while (begin < words.size()) {
    const std::size_t end = std::min(words.find(' ', begin), words.size());
    out << words.substr(begin, end - begin);
    begin = end + 1;
  }
  out << YAML::EndSeq;
}

/// Paths are written absolute, so that a training can be continued from any folder.
std::string absolute_value(const std::string& name, const TrainArguments& arguments, const RunSpec& spec) {
  if (name == "data") return spec.data.string();
  if (name == "weights") return spec.weights.string();
  if (name == "cfg") return spec.model;
  if (name == "ranks") return std::to_string(spec.ranks);
  return arguments.value(name);
}

std::string text_of(const YAML::Node& node) {
  if (!node.IsSequence()) return node.Scalar();
  std::string words;
  // No option is a list of lists, and through an anchor a list may hold itself.
  for (const auto& item : node) words += (words.empty() ? "" : " ") + item.Scalar();
  return words;
}

void read_hyp_map(const std::string& label, const YAML::Node& map, TrainArguments& arguments) {
  for (const auto& entry : map) {
    const std::string key = entry.first.Scalar(), value = entry.second.IsScalar() ? entry.second.Scalar() : "";
    arguments.settings.push_back({"hyp." + key, value, label + ": hyp: " + key + ": " + value});
  }
}

TrainArguments arguments_of(const YAML::Node& map, const std::string& label, std::vector<std::string>& ignored) {
  std::set<std::string> known;
  for (const TrainOption& option : train_options()) known.insert(option.name);
  TrainArguments arguments;
  for (const auto& entry : map) {
    const std::string name = entry.first.Scalar();
    const YAML::Node value = entry.second;
    if (name == "hyp" && value.IsMap()) {
      read_hyp_map(label, value, arguments);
    } else if (name == "set" && value.IsSequence()) {
      for (const auto& setting : value) arguments.settings.push_back(parse_override(setting.Scalar()));
    } else if (known.contains(name) && value.IsScalar()) {
      arguments.given[name] = value.Scalar();
    } else if (known.contains(name) && value.IsSequence()) {
      arguments.given[name] = text_of(value);
    } else if (!known.contains(name) && name != "save_dir") {
      ignored.push_back(name);
    }
  }
  return arguments;
}

}  // namespace

std::string hyp_yaml(const Hyperparameters& hyp) {
  YAML::Emitter out;
  write_hyp(out, hyp);
  return std::string(out.c_str()) + "\n";
}

std::string opt_yaml(const TrainArguments& arguments, const RunSpec& spec) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  for (const TrainOption& option : train_options()) {
    const std::string name = option.name;
    out << YAML::Key << name << YAML::Value;
    if (name == "hyp") {
      write_hyp(out, spec.hyp);
    } else if (option.kind == OptionKind::list) {
      write_list(out, arguments.value(name));
    } else {
      out << absolute_value(name, arguments, spec);
    }
  }
  out << YAML::Key << "set" << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const Override& setting : arguments.settings) {
    if (!setting.key.starts_with("hyp")) out << setting.key + "=" + setting.value;
  }
  out << YAML::EndSeq << YAML::Key << "save_dir" << YAML::Value << spec.folder.string() << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

TrainArguments read_opt_yaml(const std::filesystem::path& file, std::vector<std::string>& ignored) {
  return arguments_of(YamlSource{file.string(), file.parent_path(), {}}.load(), file.string(), ignored);
}

TrainArguments parse_opt_yaml(const std::string& text, const std::string& label, std::vector<std::string>& ignored) {
  try {
    const YAML::Node map = YAML::Load(text);
    if (map.IsMap()) return arguments_of(map, label, ignored);
  } catch (const YAML::Exception&) {
  }
  throw InputError(label + ": the options in it cannot be read. Give them on the command line");
}

}  // namespace valbench
