#include "scenario/model_yaml_row.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "scenario/yaml_section.h"

namespace valbench {
namespace {

/// What the arguments of a module mean, in order.
enum class Parameter {
  channels, kernel, pools, stride, padding, groups, dilation, activation, shortcut, expansion, factor,
  zero_size, nearest, dimension, classes, anchors
};

struct ModuleSyntax {
  LayerRow defaults;
  std::size_t required;
  std::vector<Parameter> parameters;
};

// clang-format off: one module a line
const std::vector<ModuleSyntax>& modules() {
  using enum Parameter;
  using K = LayerKind;
  static const std::vector<ModuleSyntax> all = {
      {{.kind = K::conv}, 1, {channels, kernel, stride, padding, groups, dilation, activation}},
      {{.kind = K::dw_conv}, 1, {channels, kernel, stride, dilation, activation}},
      {{.kind = K::focus}, 1, {channels, kernel, stride, padding, groups, activation}},
      {{.kind = K::bottleneck}, 1, {channels, shortcut, groups, expansion}},
      {{.kind = K::bottleneck_csp}, 1, {channels, shortcut, groups, expansion}},
      {{.kind = K::c3}, 1, {channels, shortcut, groups, expansion}},
      {{.kind = K::c3_ghost}, 1, {channels, shortcut, groups, expansion}},
      {{.kind = K::c3_tr}, 1, {channels, shortcut, groups, expansion}},
      {{.kind = K::c3_x}, 1, {channels, shortcut, groups, expansion}},
      {{.kind = K::cross_conv, .kernel = 3, .shortcut = false, .expansion = 1}, 1,
       {channels, kernel, stride, groups, expansion, shortcut}},
      {{.kind = K::ghost_conv}, 1, {channels, kernel, stride, groups, activation}},
      {{.kind = K::ghost_bottleneck, .kernel = 3}, 1, {channels, kernel, stride}},
      {{.kind = K::spp, .pools = {5, 9, 13}}, 1, {channels, pools}},
      {{.kind = K::sppf, .kernel = 5}, 1, {channels, kernel}},
      {{.kind = K::contract}, 1, {factor}},
      {{.kind = K::expand}, 1, {factor}},
      {{.kind = K::upsample}, 3, {zero_size, factor, nearest}},
      {{.kind = K::concat}, 0, {dimension}},
      {{.kind = K::detect}, 1, {classes, anchors}},
  };
  return all;
}
// clang-format on

std::string allowed_modules() {
  std::vector<std::string> names;
  for (const ModuleSyntax& module : modules()) names.push_back(module_name(module.defaults.kind));
  return joined(names);
}

bool is_none(const YAML::Node& node) {
  return node.IsNull() || (node.IsScalar() && (node.Scalar() == "None" || node.Scalar() == "null"));
}

class RowReader {
 public:
  RowReader(const YAML::Node& node, const std::string& file, std::size_t index)
      : node_(node), file_(file), title_("layer " + std::to_string(index)) {}

  LayerRow read() {
    if (!node_.IsSequence() || node_.size() != 4)
      fail("is not a row of four", "[from, number, module, args] such as [-1, 1, Conv, [64, 3, 2]]");
    if (!node_[2].IsScalar()) fail("its module is not a name", allowed_modules());
    const std::string name = node_[2].Scalar();
    title_ += " (" + name + ")";
    const ModuleSyntax* syntax = nullptr;
    for (const ModuleSyntax& module : modules()) {
      if (module_name(module.defaults.kind) == name) syntax = &module;
    }
    if (syntax == nullptr) fail("unknown module", allowed_modules());
    row_ = syntax->defaults;
    row_.line = node_.Mark().line + 1;
    read_from();
    row_.repeats = integer(node_[1], "number", 1, 1'000);
    const YAML::Node args = node_[3];
    if (!args.IsSequence() || args.size() < syntax->required || args.size() > syntax->parameters.size())
      fail("has a wrong number of args", "a list of " + std::to_string(syntax->required) + " to " +
                                             std::to_string(syntax->parameters.size()));
    for (std::size_t i = 0; i < args.size(); ++i) read_argument(syntax->parameters[i], args[i]);
    return row_;
  }

 private:
  [[noreturn]] void fail(const std::string& reason, const std::string& allowed) const {
    throw ScenarioError(file_, node_.Mark().line + 1, title_ + ": " + reason + ". Allowed: " + allowed);
  }

  void read_from() {
    const YAML::Node from = node_[0];
    if (!from.IsSequence()) {
      row_.from = {integer(from, "from", -1'000, 1'000)};
      return;
    }
    row_.from.clear();
    if (from.size() == 0 || from.size() > 1'000) fail("from is an empty or too long list", "1 to 1000 layers");
    for (const YAML::Node& each : from) row_.from.push_back(integer(each, "from", -1'000, 1'000));
  }

  void read_argument(Parameter parameter, const YAML::Node& value) {
    switch (parameter) {
      case Parameter::channels: row_.channels = integer(value, "channels", 1, 65'536); break;
      case Parameter::kernel: row_.kernel = integer(value, "kernel", 1, 255); break;
      case Parameter::stride: row_.stride = integer(value, "stride", 1, 64); break;
      case Parameter::padding: row_.padding = is_none(value) ? -1 : integer(value, "padding", 0, 255); break;
      case Parameter::groups: row_.groups = integer(value, "groups", 1, 65'536); break;
      case Parameter::dilation: row_.dilation = integer(value, "dilation", 1, 64); break;
      case Parameter::factor: row_.factor = integer(value, "factor", 1, 64); break;
      case Parameter::shortcut: row_.shortcut = boolean(value, "shortcut"); break;
      case Parameter::expansion: row_.expansion = number(value, "expansion"); break;
      case Parameter::activation: read_activation(value); break;
      case Parameter::pools: read_pools(value); break;
      case Parameter::zero_size:
        if (!is_none(value)) fail("its size must be None: it works by factor", "[None, 2, 'nearest']");
        break;
      case Parameter::nearest:
        if (!value.IsScalar() || value.Scalar() != "nearest") fail("its mode must be nearest", "[None, 2, 'nearest']");
        break;
      case Parameter::dimension: integer(value, "dimension", 1, 1); break;
      case Parameter::classes:
        if (!value.IsScalar()) fail("its first arg is not nc", "[nc, anchors]");
        break;
      case Parameter::anchors:
        if (!value.IsScalar() || value.Scalar() != "anchors") fail("its second arg is not anchors", "[nc, anchors]");
        break;
    }
  }

  void read_pools(const YAML::Node& value) {
    if (!value.IsSequence() || value.size() == 0 || value.size() > 16)
      fail("its kernels are not a list", "1 to 16 kernels such as [5, 9, 13]");
    row_.pools.clear();
    for (const YAML::Node& each : value) row_.pools.push_back(integer(each, "kernel", 1, 255));
  }

  void read_activation(const YAML::Node& value) {
    const std::string text = value.IsScalar() ? value.Scalar() : "";
    if (text == "True" || text == "true") return;
    const auto activation = text == "False" || text == "false" ? Activation{.kind = Activation::Kind::identity}
                                                                : parse_activation(text);
    if (!activation) fail("unknown activation", "True, False, " + allowed_activations());
    row_.activation = activation;
  }

  int integer(const YAML::Node& value, const std::string& what, int low, int high) const {
    const std::string allowed = "an integer from " + std::to_string(low) + " to " + std::to_string(high);
    const std::string text = value.IsScalar() ? value.Scalar() : "";
    int parsed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || parsed < low || parsed > high)
      fail(what + (text.empty() ? "" : " = " + text) + " is not possible", allowed);
    return parsed;
  }

  double number(const YAML::Node& value, const std::string& what) const {
    double parsed = 0;
    if (!value.IsScalar() || !YAML::convert<double>::decode(value, parsed) || !(parsed > 0 && parsed <= 16))
      fail(what + " is not possible", "a number above 0, to 16");
    return parsed;
  }

  bool boolean(const YAML::Node& value, const std::string& what) const {
    const std::string text = value.IsScalar() ? value.Scalar() : "";
    if (text != "True" && text != "true" && text != "False" && text != "false")
      fail(what + (text.empty() ? "" : " = " + text) + " is not possible", "True, False");
    return text == "True" || text == "true";
  }

  const YAML::Node& node_;
  const std::string& file_;
  std::string title_;
  LayerRow row_;
};

struct NamedActivation {
  const char* name;
  Activation::Kind kind;
};
constexpr NamedActivation kActivations[] = {
    {"SiLU", Activation::Kind::silu},           {"ReLU", Activation::Kind::relu},
    {"ReLU6", Activation::Kind::relu6},         {"LeakyReLU", Activation::Kind::leaky_relu},
    {"Hardswish", Activation::Kind::hardswish}, {"Mish", Activation::Kind::mish},
    {"GELU", Activation::Kind::gelu},           {"Identity", Activation::Kind::identity}};

}  // namespace

LayerRow read_model_row(const YAML::Node& node, const std::string& file, std::size_t index) {
  return RowReader(node, file, index).read();
}

std::optional<Activation> parse_activation(const std::string& text) {
  const std::size_t open = text.find('(');
  if (!text.starts_with("nn.") || open == std::string::npos || !text.ends_with(")")) return std::nullopt;
  const std::string name = text.substr(3, open - 3);
  std::string argument = text.substr(open + 1, text.size() - open - 2);
  if (argument == "inplace=True") argument.clear();
  for (const NamedActivation& known : kActivations) {
    if (name != known.name) continue;
    Activation activation{.kind = known.kind};
    if (argument.empty()) return activation;
    if (known.kind != Activation::Kind::leaky_relu) return std::nullopt;
    const auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), activation.slope);
    const bool whole = error == std::errc() && end == argument.data() + argument.size();
    if (!whole || !std::isfinite(activation.slope)) return std::nullopt;
    return activation;
  }
  return std::nullopt;
}

std::string allowed_activations() {
  std::string all;
  for (const NamedActivation& known : kActivations) {
    all += (all.empty() ? "nn." : ", nn.") + std::string(known.name) +
           (known.kind == Activation::Kind::leaky_relu ? "(0.1)" : "()");
  }
  return all;
}

}  // namespace valbench
