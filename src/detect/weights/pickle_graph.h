/// \file
/// What a pickle describes, as a graph of plain nodes: nothing is imported, called or built.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace valbench {

using PickleId = std::uint32_t;
inline constexpr PickleId kNoPickle = 0xffffffff;

struct PickleNode {
  /// global: a class or function by name. record: what calling `callee` with `args` would have made, with what the pickle then put in.
  /// persistent: a reference to something outside the pickle; torch's tuples of storages.
  enum class Kind { none, boolean, integer, real, text, bytes, list, tuple, set, dict, global, record, persistent };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  ///< Also of a boolean. Integers above 64 bits are text.
  double real = 0;
  std::string text;             ///< Text, bytes, or a global's `module.name`.
  std::vector<PickleId> items;  ///< Of lists, tuples and sets; key, value, key, value, … of dicts and records.
  PickleId callee = kNoPickle, args = kNoPickle;
  PickleId state = kNoPickle;  ///< What BUILD set: an object's __dict__.
};

class PickleGraph {
 public:
  using Kind = PickleNode::Kind;

  const PickleNode& operator[](PickleId id) const { return nodes_.at(id); }
  PickleId root() const { return root_; }
  std::size_t size() const { return nodes_.size(); }
  PickleId add(PickleNode node);
  PickleNode& edit(PickleId id) { return nodes_.at(id); }
  void set_root(PickleId id) { root_ = id; }

  bool is(PickleId id, Kind kind) const { return id != kNoPickle && nodes_.at(id).kind == kind; }
  /// The value of a text key of a dict, or of an object's __dict__; the last one where a key comes twice. kNoPickle without it.
  PickleId find(PickleId holder, std::string_view key) const;
  /// The name of what a record was made by, `models.yolo.DetectionModel`; empty for other nodes.
  std::string_view class_of(PickleId id) const;
  /// An integer, boolean, real, or numpy scalar or array of one element, as a number.
  std::optional<double> number(PickleId id) const;
  /// Text, numbers, lists, tuples, dicts, paths, argparse.Namespace as JSON; of other objects only their class, as `<name>`.
  /// Stops at a depth and size that no options file has.
  nlohmann::ordered_json to_json(PickleId id) const;

  /// Functions that a loaded pickle has no business to name, with the argument where it is text: `os.system("id")`. Empty = none.
  std::vector<std::string> dangerous() const;

 private:
  nlohmann::ordered_json to_json(PickleId id, int depth, std::size_t& budget) const;
  std::optional<double> numpy_number(const PickleNode& node) const;

  std::vector<PickleNode> nodes_;
  PickleId root_ = kNoPickle;
};

}  // namespace valbench
