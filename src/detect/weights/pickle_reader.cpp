#include "detect/weights/pickle_reader.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"

namespace valbench {
namespace {

using Kind = PickleNode::Kind;
constexpr std::size_t kMostNodes = 2'000'000;  // a yolov5x6 checkpoint has 150,000
constexpr std::uint64_t kMostCopied = 256 << 20;  // bytes of values that are repeated by reference
constexpr int kNewestProtocol = 5;

/// The machine of Python's pickletools, on nodes instead of objects.
class Machine {
 public:
  Machine(std::string_view bytes, const std::string& label) : bytes_(bytes), label_(label) {}

  PickleGraph run() {
    while (true) {
      const char op = take(1)[0];
      if (op == '.') break;
      if (!constant(op) && !memo(op) && !container(op) && !object(op)) {
        fail(fmt::format("unknown operation 0x{:02x}", static_cast<unsigned char>(op)));
      }
    }
    graph_.set_root(pop());
    return std::move(graph_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("{}: not a usable pickle: {} at byte {}. Save or copy it again.", label_, what, at_));
  }

  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - at_) fail("it ends too early");
    const std::string_view out = bytes_.substr(at_, count);
    at_ += count;
    return out;
  }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("a line without an end");
    const std::string_view out = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return out;
  }

  PickleId add(PickleNode node) {
    if (graph_.size() >= kMostNodes) fail(fmt::format("more than {} values", kMostNodes));
    return graph_.add(std::move(node));
  }
  void push(PickleNode node) { stack_.push_back(add(std::move(node))); }
  void push_text(Kind kind, std::string_view text) {
    count_copy(text.size());
    push({.kind = kind, .text = std::string(text)});
  }
  // Text of Python 2 may hold any bytes; later protocols and names promise UTF-8.
  void push_unicode(Kind kind, std::string_view text) {
    if (!is_utf8(text)) fail("text that is not UTF-8");
    push_text(kind, text);
  }
  void push_byte_text(std::string_view text) { push_text(is_utf8(text) ? Kind::text : Kind::bytes, text); }
  // A few bytes may ask for the same long value again and again.
  void count_copy(std::uint64_t bytes) {
    copied_ += bytes;
    if (copied_ > kMostCopied) fail(fmt::format("more than {} MiB of repeated values", kMostCopied >> 20));
  }
  std::vector<PickleId> copy_of_items(PickleId id) {
    if (id == kNoPickle) return {};
    count_copy(graph_[id].items.size() * sizeof(PickleId));
    return graph_[id].items;
  }
  void push_integer(std::int64_t value) { push({.kind = Kind::integer, .integer = value}); }
  PickleId pop() {
    if (stack_.size() <= floor()) fail("an empty stack");
    const PickleId top = stack_.back();
    stack_.pop_back();
    return top;
  }
  PickleId top() const {
    if (stack_.size() <= floor()) fail("an empty stack");
    return stack_.back();
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<PickleId> pop_mark() {
    if (marks_.empty()) fail("no mark on the stack");
    std::vector<PickleId> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  std::vector<PickleId> pop_items(std::size_t count) {
    std::vector<PickleId> items(count);
    while (count > 0) items[--count] = pop();
    return items;
  }

  void push_decimal(std::string_view text) {
    if (text.ends_with('L')) text.remove_suffix(1);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::invalid_argument || end != text.data() + text.size()) fail("a damaged number");
    if (error == std::errc::result_out_of_range) return push_text(Kind::text, text);
    push_integer(value);
  }
  void push_little_endian(std::string_view bytes) {
    if (bytes.size() > 8) return push_text(Kind::bytes, bytes);
    std::uint64_t value = !bytes.empty() && (bytes.back() & 0x80) ? ~std::uint64_t{0} : 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    push_integer(static_cast<std::int64_t>(value));
  }
  void push_real_text(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) fail("a damaged number");
    push({.kind = Kind::real, .real = value});
  }
  // Escapes stay as they are: names and messages read well enough, and no value of a checkpoint is written so.
  void push_quoted(std::string_view text) {
    if (text.size() < 2 || text.front() != text.back()) fail("a damaged string");
    push_byte_text(text.substr(1, text.size() - 2));
  }

  bool constant(char op) {
    switch (op) {
      case 'N': push({}); return true;
      case '\x88':
      case '\x89': push({.kind = Kind::boolean, .integer = op == '\x88'}); return true;
      case 'J': push_integer(number<std::int32_t>()); return true;
      case 'K': push_integer(number<std::uint8_t>()); return true;
      case 'M': push_integer(number<std::uint16_t>()); return true;
      case 'I': {
        const std::string_view text = line();
        if (text == "00" || text == "01") push({.kind = Kind::boolean, .integer = text == "01"});
        else push_decimal(text);
        return true;
      }
      case 'L': push_decimal(line()); return true;
      case '\x8a': push_little_endian(take(number<std::uint8_t>())); return true;
      case '\x8b': push_little_endian(take(number<std::uint32_t>())); return true;
      case 'G': push({.kind = Kind::real, .real = std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>()))}); return true;
      case 'F': push_real_text(line()); return true;
      case 'V': push_byte_text(line()); return true;
      case 'S': push_quoted(line()); return true;
      case 'X': push_unicode(Kind::text, take(number<std::uint32_t>())); return true;
      case '\x8c': push_unicode(Kind::text, take(number<std::uint8_t>())); return true;
      case '\x8d': push_unicode(Kind::text, take(number<std::uint64_t>())); return true;
      case 'T': push_byte_text(take(number<std::uint32_t>())); return true;  // Python 2's str
      case 'U': push_byte_text(take(number<std::uint8_t>())); return true;
      case 'B': push_text(Kind::bytes, take(number<std::uint32_t>())); return true;
      case 'C': push_text(Kind::bytes, take(number<std::uint8_t>())); return true;
      case '\x8e':
      case '\x96': push_text(Kind::bytes, take(number<std::uint64_t>())); return true;
      default: return false;
    }
  }

  bool memo(char op) {
    switch (op) {
      case '\x80':
        if (const int protocol = number<std::uint8_t>(); protocol > kNewestProtocol) fail(fmt::format("protocol {}", protocol));
        return true;
      case '\x95': take(8); return true;  // a frame: only a hint for reading ahead
      case 'q': return put(number<std::uint8_t>());
      case 'r': return put(number<std::uint32_t>());
      case '\x94': return put(memo_.size());
      case 'p': return put(index(line()));
      case 'h': return get(number<std::uint8_t>());
      case 'j': return get(number<std::uint32_t>());
      case 'g': return get(index(line()));
      case '0':
        if (stack_.size() > floor()) stack_.pop_back();
        else pop_mark();
        return true;
      case '1': pop_mark(); return true;
      case '2': stack_.push_back(top()); return true;
      case '(': marks_.push_back(stack_.size()); return true;
      default: return false;
    }
  }
  std::uint64_t index(std::string_view text) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) fail("a damaged number");
    return value;
  }
  bool put(std::uint64_t index) {
    memo_[index] = top();
    return true;
  }
  bool get(std::uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail(fmt::format("a reference to value {}, which is not there", index));
    stack_.push_back(found->second);
    return true;
  }

  bool container(char op) {
    switch (op) {
      case ']': push({.kind = Kind::list}); return true;
      case ')': push({.kind = Kind::tuple}); return true;
      case '}': push({.kind = Kind::dict}); return true;
      case '\x8f': push({.kind = Kind::set}); return true;
      case 'l': push({.kind = Kind::list, .items = pop_mark()}); return true;
      case 't': push({.kind = Kind::tuple, .items = pop_mark()}); return true;
      case '\x91': push({.kind = Kind::set, .items = pop_mark()}); return true;
      case 'd': push({.kind = Kind::dict, .items = pairs(pop_mark())}); return true;
      case '\x85': push({.kind = Kind::tuple, .items = pop_items(1)}); return true;
      case '\x86': push({.kind = Kind::tuple, .items = pop_items(2)}); return true;
      case '\x87': push({.kind = Kind::tuple, .items = pop_items(3)}); return true;
      case 'a': extend(pop_items(1), false); return true;
      case 'e':
      case '\x90': extend(pop_mark(), false); return true;
      case 's': extend(pop_items(2), true); return true;
      case 'u': extend(pairs(pop_mark()), true); return true;
      default: return false;
    }
  }
  std::vector<PickleId> pairs(std::vector<PickleId> items) const {
    if (items.size() % 2 != 0) fail("a key without a value");
    return items;
  }
  void extend(const std::vector<PickleId>& items, bool keyed) {
    PickleNode& target = graph_.edit(top());
    const bool holds_pairs = target.kind == Kind::dict, holds_items = target.kind == Kind::list || target.kind == Kind::set;
    if (!(keyed ? holds_pairs : holds_items) && target.kind != Kind::record) fail("items for something that holds none");
    // A record keeps pairs only: what a class of its own appends to itself is of no use here.
    if (target.kind == Kind::record && !keyed) return;
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  bool object(char op) {
    switch (op) {
      case 'c': {
        const std::string module(line());
        push_unicode(Kind::global, module + "." + std::string(line()));
        return true;
      }
      case '\x93': {
        const std::vector<PickleId> names = pop_items(2);
        if (!graph_.is(names[0], Kind::text) || !graph_.is(names[1], Kind::text)) fail("a class whose name is no text");
        push_text(Kind::global, graph_[names[0]].text + "." + graph_[names[1]].text);
        return true;
      }
      case 'R':
      case '\x81': {
        const std::vector<PickleId> call = pop_items(2);
        make(call[0], call[1]);
        return true;
      }
      case '\x92': {
        const std::vector<PickleId> call = pop_items(3);
        make(call[0], call[1]);
        return true;
      }
      case 'i': {
        const std::string module(line());
        push_unicode(Kind::global, module + "." + std::string(line()));
        const PickleId callee = pop();
        make(callee, add({.kind = Kind::tuple, .items = pop_mark()}));
        return true;
      }
      case 'o': {
        std::vector<PickleId> items = pop_mark();
        if (items.empty()) fail("an object without a class");
        const PickleId callee = items.front();
        items.erase(items.begin());
        make(callee, add({.kind = Kind::tuple, .items = std::move(items)}));
        return true;
      }
      case 'b': {
        const PickleId state = pop();
        graph_.edit(top()).state = state;
        return true;
      }
      case 'Q': push({.kind = Kind::persistent, .args = pop()}); return true;
      default: return false;
    }
  }

  /// What a call would have made. Dictionaries, sets and bytes, which checkpoints are made of, become such nodes; all else a record.
  void make(PickleId callee, PickleId args) {
    if (!graph_.is(args, Kind::tuple)) fail("a call whose arguments are no tuple");
    const std::string_view name = graph_.is(callee, Kind::global) ? std::string_view(graph_[callee].text) : std::string_view();
    const std::vector<PickleId>& given = graph_[args].items;
    const PickleId first = given.empty() ? kNoPickle : given[0];
    if (name == "collections.OrderedDict") return push({.kind = Kind::dict, .items = items_of_pairs(first)});
    if ((name == "__builtin__.set" || name == "builtins.set") && (first == kNoPickle || graph_.is(first, Kind::list))) {
      return push({.kind = Kind::set, .items = copy_of_items(first)});
    }
    // Protocol 2 has no bytes: Python 3 writes them as text whose code points are the bytes.
    if (name == "_codecs.encode" && graph_.is(first, Kind::text)) return push_text(Kind::bytes, latin1(graph_[first].text));
    push({.kind = Kind::record, .callee = callee, .args = args});
  }
  std::vector<PickleId> items_of_pairs(PickleId list) {
    std::vector<PickleId> items;
    if (!graph_.is(list, Kind::list)) return items;
    for (const PickleId pair : copy_of_items(list)) {
      const PickleNode& node = graph_[pair];
      if ((node.kind != Kind::list && node.kind != Kind::tuple) || node.items.size() != 2) fail("an OrderedDict of no pairs");
      items.insert(items.end(), node.items.begin(), node.items.end());
    }
    return items;
  }
  std::string latin1(const std::string& utf8) const {
    std::string out;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
      const auto c = static_cast<unsigned char>(utf8[i]);
      if (c < 0x80) {
        out += utf8[i];
      } else {
        if ((c & 0xfe) != 0xc2 || i + 1 == utf8.size()) fail("text that holds no bytes");
        out += static_cast<char>((c & 3) << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
      }
    }
    return out;
  }

  std::string_view bytes_;
  const std::string& label_;
  std::uint64_t at_ = 0, copied_ = 0;
  PickleGraph graph_;
  std::vector<PickleId> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, PickleId> memo_;
};

}  // namespace

PickleGraph read_pickle(std::string_view bytes, const std::string& label) { return Machine(bytes, label).run(); }

}  // namespace valbench
