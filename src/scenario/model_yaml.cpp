#include "scenario/model_yaml.h"

#include "base/error.h"
#include "base/file.h"
#include "scenario/model_yaml_row.h"
#include "scenario/yaml_section.h"

namespace valbench {
namespace {

// `ch` and `inplace` are what YOLOv5 itself writes into checkpoints.
const std::vector<std::string> kKeys = {"nc",         "depth_multiple",   "width_multiple", "anchors", "backbone", "head",
                                        "activation", "channel_multiple", "ch",             "inplace"};
constexpr int kMostAnchors = 100;
constexpr std::size_t kMostRows = 1'000;

AnchorTable listed_anchors(const YamlSection& root, const YAML::Node& list) {
  const std::string allowed = "a list per level of width, height pairs in pixels such as [10,13, 16,30, 33,23], or a number";
  AnchorTable table;
  for (const YAML::Node& level : list) {
    std::vector<double>& values = table.emplace_back();
    if (!level.IsSequence()) root.fail("anchors", "is not a list of lists", allowed);
    for (const YAML::Node& value : level) {
      double pixels = 0;
      if (!value.IsScalar() || !YAML::convert<double>::decode(value, pixels) || !(pixels > 0 && pixels < 1e6))
        root.fail("anchors", "holds what is no length in pixels", allowed);
      values.push_back(pixels);
    }
    if (values.empty() || values.size() % 2 != 0 || values.size() != table.front().size())
      root.fail("anchors", "needs the same even number of values on every level", allowed);
    if (values.size() > 2 * kMostAnchors) root.fail("anchors", "has more than 100 anchors a level", allowed);
  }
  return table;
}

/// Fills table.anchors; `levels` are Detect's.
void read_anchors(const YamlSection& root, std::size_t levels, LayerTable& table) {
  const YAML::Node node = root.node("anchors");
  if (!node.IsDefined()) root.fail("anchors", "is missing", "a list per level, or the number of anchors a level");
  if (node.IsSequence()) {
    table.anchors = listed_anchors(root, node);
    return;
  }
  int per_level = 0;
  root.integer("anchors", per_level, 1, kMostAnchors);
  table.anchors = placeholder_anchors(static_cast<int>(levels), per_level);
}

void read_rows(const YamlSection& root, const std::string& part, LayerTable& table) {
  const std::string allowed = "a list of rows such as [-1, 1, Conv, [64, 3, 2]]";
  const YAML::Node rows = root.node(part);
  if (!rows.IsDefined()) root.fail(part, "is missing", allowed);
  if (!rows.IsSequence()) root.fail(part, "is not a list", allowed);
  for (const YAML::Node& row : rows) {
    if (table.rows.size() >= kMostRows) root.fail(part, "has too many rows", "at most 1000 layers");
    table.rows.push_back(read_model_row(row, table.file, table.rows.size()));
  }
}

LayerTable read_table(const YamlSource& source, const YAML::Node& node, Compat compat) {
  const YamlSection root(source, node, "", kKeys);
  LayerTable table;
  table.file = source.file;
  root.integer("nc", table.classes, 1, 100'000);
  root.number("depth_multiple", table.depth, 0.0, 100.0);
  root.number("width_multiple", table.width, 1e-6, 100.0);
  // v7.0 does not know this key and always rounds to 8.
  int multiple = table.channel_multiple;
  root.integer("channel_multiple", multiple, 1, 1024);
  if (compat == Compat::head) table.channel_multiple = multiple;
  int channels = 3;
  root.integer("ch", channels, 3, 3);
  if (root.has("activation")) {
    const std::string text = root.scalar("activation", allowed_activations());
    const auto activation = parse_activation(text);
    if (!activation) root.fail("activation", "unknown activation", allowed_activations());
    table.activation = *activation;
  }
  read_rows(root, "backbone", table);
  read_rows(root, "head", table);
  if (table.rows.empty()) root.fail("backbone", "the network has no layers", "rows such as [-1, 1, Conv, [64, 3, 2]]");
  read_anchors(root, table.rows.back().from.size(), table);
  return table;
}

}  // namespace

LayerTable parse_model_yaml(const std::string& text, const std::string& shown_file, Compat compat) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
    if (!root.IsMap())
      throw ScenarioError(shown_file, 1, "is not a model YAML file: no map with backbone and head in it");
    return read_table({shown_file, {}, {}}, root, compat);
  } catch (const YAML::Exception& error) {
    throw ScenarioError(shown_file, error.mark.line + 1, "not YAML: " + error.msg);
  }
}

LayerTable read_model_yaml(const std::filesystem::path& file, Compat compat) {
  std::string text;
  try {
    text = read_file(file);
  } catch (const RecordError& error) {
    throw InputError(std::string(error.what()) + ". Give one of " + joined(builtin_models()) +
                     ", or the path of a model YAML file");
  }
  return parse_model_yaml(text, file.string(), compat);
}

}  // namespace valbench
