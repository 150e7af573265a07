#include "detect/weights/pickle_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace valbench {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kDeepest = 32;
constexpr std::size_t kMostValues = 20'000, kTextOfAValue = 1024;

// Modules that reach the system, code or files. Everything else that a pickle may name is an inert record here.
constexpr std::string_view kDangerousModules[] = {
    "os",      "posix", "nt",        "subprocess", "sys",    "shutil",     "socket",          "runpy",  "importlib", "ctypes",
    "pty",     "imp",   "popen2",    "webbrowser", "pickle", "_pickle",    "cPickle",         "marshal", "code",     "commands",
    "asyncio", "pip",   "multiprocessing", "urllib", "http", "timeit",     "pdb",             "bdb",    "cProfile",  "profile"};
constexpr std::string_view kDangerousBuiltins[] = {"eval", "exec",       "execfile", "compile", "open",
                                                   "file", "__import__", "input",    "globals", "breakpoint"};

bool is_dangerous(std::string_view name) {
  const std::string_view module = name.substr(0, name.find('.')), function = name.substr(name.rfind('.') + 1);
  if (module == "builtins" || module == "__builtin__") {
    return std::find(std::begin(kDangerousBuiltins), std::end(kDangerousBuiltins), function) != std::end(kDangerousBuiltins);
  }
  return std::find(std::begin(kDangerousModules), std::end(kDangerousModules), module) != std::end(kDangerousModules);
}

/// An argument as it may be shown: short, printable, in brackets.
std::string quoted(const std::string& text) {
  return "(" + Json(text.substr(0, 80)).dump(-1, ' ', true, Json::error_handler_t::replace) + ")";
}

/// One little-endian number of a numpy dtype such as f8, i4 or u1.
std::optional<double> numpy_value(std::string_view dtype, const std::string& bytes) {
  const auto as = [&bytes]<typename T>(T value) -> std::optional<double> {
    if (bytes.size() != sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data(), sizeof value);
    return static_cast<double>(value);
  };
  if (dtype == "f8") return as(double{});
  if (dtype == "f4") return as(float{});
  if (dtype == "i8") return as(std::int64_t{});
  if (dtype == "i4") return as(std::int32_t{});
  if (dtype == "u1" || dtype == "b1") return as(std::uint8_t{});
  return std::nullopt;
}

}  // namespace

PickleId PickleGraph::add(PickleNode node) {
  nodes_.push_back(std::move(node));
  return static_cast<PickleId>(nodes_.size() - 1);
}

PickleId PickleGraph::find(PickleId holder, std::string_view key) const {
  if (holder == kNoPickle) return kNoPickle;
  const PickleNode& node = nodes_.at(holder);
  if (node.kind == Kind::record && node.state != kNoPickle && is(node.state, Kind::dict)) return find(node.state, key);
  if (node.kind != Kind::dict && node.kind != Kind::record) return kNoPickle;
  for (std::size_t i = node.items.size() / 2; i-- > 0;) {
    const PickleNode& name = nodes_.at(node.items[2 * i]);
    if (name.kind == Kind::text && name.text == key) return node.items[2 * i + 1];
  }
  return kNoPickle;
}

std::string_view PickleGraph::class_of(PickleId id) const {
  if (!is(id, Kind::record)) return {};
  const PickleId callee = nodes_.at(id).callee;
  return is(callee, Kind::global) ? std::string_view(nodes_.at(callee).text) : std::string_view{};
}

std::optional<double> PickleGraph::number(PickleId id) const {
  if (id == kNoPickle) return std::nullopt;
  const PickleNode& node = nodes_.at(id);
  if (node.kind == Kind::integer || node.kind == Kind::boolean) return static_cast<double>(node.integer);
  if (node.kind == Kind::real) return node.real;
  if (node.kind == Kind::record) return numpy_number(node);
  return std::nullopt;
}

std::optional<double> PickleGraph::numpy_number(const PickleNode& node) const {
  if (!is(node.callee, Kind::global)) return std::nullopt;
  const std::string& maker = nodes_.at(node.callee).text;
  PickleId dtype = kNoPickle, bytes = kNoPickle;
  if (maker.ends_with(".multiarray.scalar") && is(node.args, Kind::tuple) && nodes_.at(node.args).items.size() == 2) {
    dtype = nodes_.at(node.args).items[0], bytes = nodes_.at(node.args).items[1];
  } else if (maker.ends_with(".multiarray._reconstruct") && is(node.state, Kind::tuple) && nodes_.at(node.state).items.size() == 5) {
    dtype = nodes_.at(node.state).items[2], bytes = nodes_.at(node.state).items[4];  // version, shape, dtype, Fortran order, data
  }
  if (class_of(dtype) != "numpy.dtype" || !is(bytes, Kind::bytes)) return std::nullopt;
  const PickleId args = nodes_.at(dtype).args;
  if (!is(args, Kind::tuple) || nodes_.at(args).items.empty() || !is(nodes_.at(args).items[0], Kind::text)) return std::nullopt;
  return numpy_value(nodes_.at(nodes_.at(args).items[0]).text, nodes_.at(bytes).text);
}

Json PickleGraph::to_json(PickleId id) const {
  std::size_t budget = kMostValues;
  return to_json(id, 0, budget);
}

Json PickleGraph::to_json(PickleId id, int depth, std::size_t& budget) const {
  if (id == kNoPickle || depth > kDeepest || budget == 0) return nullptr;
  const PickleNode& node = nodes_.at(id);
  // Long text counts as many values: a few bytes may repeat it again and again.
  budget -= std::min(budget, 1 + node.text.size() / kTextOfAValue);
  switch (node.kind) {
    case Kind::none: return nullptr;
    case Kind::boolean: return node.integer != 0;
    case Kind::integer: return node.integer;
    case Kind::real: return node.real;
    case Kind::text: return node.text;
    case Kind::list:
    case Kind::tuple:
    case Kind::set: {
      Json list = Json::array();
      for (const PickleId item : node.items) list.push_back(to_json(item, depth + 1, budget));
      return list;
    }
    case Kind::dict: {
      Json object = Json::object();
      for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
        const PickleNode& key = nodes_.at(node.items[i]);
        if (key.kind != Kind::text && key.kind != Kind::integer) continue;
        object[key.kind == Kind::text ? key.text : std::to_string(key.integer)] = to_json(node.items[i + 1], depth + 1, budget);
      }
      return object;
    }
    case Kind::record: break;
    case Kind::global: return "<" + node.text + ">";
    default: return nullptr;
  }
  if (const std::optional<double> value = numpy_number(node)) return *value;
  const std::string_view name = class_of(id);
  if (name.starts_with("pathlib.") && is(node.args, Kind::tuple)) {
    std::string path;
    for (const PickleId part : nodes_.at(node.args).items) {
      if (is(part, Kind::text)) path += (path.empty() || path.ends_with('/') ? "" : "/") + nodes_.at(part).text;
    }
    return path;
  }
  if (name == "argparse.Namespace") return to_json(node.state, depth + 1, budget);
  return fmt::format("<{}>", name);
}

std::vector<std::string> PickleGraph::dangerous() const {
  std::vector<std::string> found;
  const auto note = [&found](std::string what) {
    if (std::find(found.begin(), found.end(), what) == found.end() && found.size() < 5) found.push_back(std::move(what));
  };
  std::vector<bool> called(nodes_.size(), false);
  for (const PickleNode& node : nodes_) {
    if (node.kind != Kind::record || !is(node.callee, Kind::global) || !is_dangerous(nodes_[node.callee].text)) continue;
    called[node.callee] = true;
    const bool has_text = node.args != kNoPickle && !nodes_[node.args].items.empty() && is(nodes_[node.args].items[0], Kind::text);
    const std::string argument = has_text ? quoted(nodes_[nodes_[node.args].items[0]].text) : "";
    note(nodes_[node.callee].text + argument);
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].kind == Kind::global && !called[i] && is_dangerous(nodes_[i].text)) note(nodes_[i].text);
  }
  return found;
}

}  // namespace valbench
