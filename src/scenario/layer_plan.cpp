// From a table's rows to settled numbers (reference yolov5.md §1.2).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "scenario/layer_table.h"

namespace valbench {
namespace {

constexpr int kImage = -1;            // PlannedLayer::row.from of the first layer
constexpr int kProbeSide = 256;       // strides are those of an image of this side
constexpr int kMostChannels = 65'536;
constexpr int kMostRepeats = 1'000;
constexpr int kMostLevels = 5;        // the loss knows weights for so many
constexpr int kHeads = 4;             // of C3TR's attention

bool repeats_inside(LayerKind kind) {
  return kind == LayerKind::bottleneck_csp || kind == LayerKind::c3 || kind == LayerKind::c3_ghost ||
         kind == LayerKind::c3_tr || kind == LayerKind::c3_x;
}

bool has_no_weights(LayerKind kind) {
  return kind == LayerKind::contract || kind == LayerKind::expand || kind == LayerKind::upsample ||
         kind == LayerKind::concat;
}

class Planner {
 public:
  Planner(const LayerTable& table, int classes) : table_(table), classes_(classes) {}

  LayerPlan plan() {
    if (table_.rows.empty()) throw ScenarioError(table_.file, 0, "the network has no layers");
    for (index_ = 0; index_ < table_.rows.size(); ++index_) add(table_.rows[index_]);
    if (table_.rows.back().kind != LayerKind::detect) {
      --index_;
      fail("the last layer of a detector is Detect");
    }
    return std::move(plan_);
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    const LayerRow& row = table_.rows[index_];
    throw ScenarioError(table_.file, row.line, row_title(index_, row.kind) + ": " + reason);
  }

  void add(const LayerRow& row) {
    PlannedLayer layer{.row = row, .activation = row.activation.value_or(table_.activation)};
    resolve_inputs(layer);
    layer.row.repeats = depth(row.repeats);
    if (row.kind == LayerKind::detect) {
      plan_detect(layer);
    } else {
      const int in = layer.in.front();
      if (!has_no_weights(row.kind)) layer.row.channels = width(row.channels);
      check_channels(layer);
      const int times = repeats_inside(row.kind) ? 1 : layer.row.repeats;
      if (times > 1 && (has_no_weights(row.kind) || in != layer.row.channels))
        fail("cannot be repeated: it takes " + std::to_string(in) + " channels and gives others. Write 1 as its number");
      for (int i = 0; i < times; ++i) plan_size(layer);
    }
    channels_.push_back(layer.row.channels);
    sides_.push_back(side_);
    plan_.layers.push_back(std::move(layer));
  }

  void resolve_inputs(PlannedLayer& layer) {
    const int index = static_cast<int>(index_);
    for (int& from : layer.row.from) {
      if (from < 0 && !(index == 0 && from == kImage)) from += index;
      if (from >= index || (from < 0 && index > 0) || from < kImage)
        fail("from must be a layer before this one: 0 to " + std::to_string(index - 1) + ", or -1 for the previous one");
      layer.in.push_back(from == kImage ? 3 : channels_[static_cast<std::size_t>(from)]);
    }
    if (layer.row.from.empty()) fail("from is empty");
    const bool many = layer.row.kind == LayerKind::concat || layer.row.kind == LayerKind::detect;
    if (!many && layer.in.size() > 1) fail("takes one input, but from lists " + std::to_string(layer.in.size()));
    const int first = layer.row.from.front();
    side_ = first == kImage ? kProbeSide : sides_[static_cast<std::size_t>(first)];
  }

  // Widths are rounded up to a multiple, but for a row that has as many channels as Detect gives (§1.2).
  int width(int channels) const {
    const int outputs = per_level() * (classes_ + 5);
    if (channels == outputs) return channels;
    const double scaled = std::ceil(channels * table_.width / table_.channel_multiple) * table_.channel_multiple;
    if (!(scaled >= 1 && scaled <= kMostChannels))
      fail("its channels must come out between 1 and " + std::to_string(kMostChannels));
    return static_cast<int>(scaled);
  }

  // Half to even, as Python's round().
  int depth(int repeats) const {
    const double scaled = repeats > 1 ? std::max(std::nearbyint(repeats * table_.depth), 1.0) : repeats;
    if (!(scaled >= 1 && scaled <= kMostRepeats))
      fail("its number must come out between 1 and " + std::to_string(kMostRepeats));
    return static_cast<int>(scaled);
  }

  int per_level() const { return table_.anchors.empty() ? 0 : static_cast<int>(table_.anchors.front().size() / 2); }

  void check_channels(PlannedLayer& layer) const {
    LayerRow& row = layer.row;
    const int in = layer.in.front();
    const auto hidden = static_cast<int>(row.channels * row.expansion);
    const auto need = [&](bool holds, const std::string& reason) {
      if (!holds) fail(reason);
    };
    const auto divides = [&](int groups, int a, int b) {
      need(groups > 0 && a % groups == 0 && b % groups == 0,
           "groups " + std::to_string(groups) + " must divide " + std::to_string(a) + " and " + std::to_string(b));
    };
    switch (row.kind) {
      case LayerKind::conv: divides(row.groups, in, row.channels); break;
      case LayerKind::focus: divides(row.groups, 4 * in, row.channels); break;
      case LayerKind::dw_conv: row.groups = std::gcd(in, row.channels); break;
      case LayerKind::bottleneck:
      case LayerKind::cross_conv:
        need(hidden > 0, "expansion leaves no hidden channels");
        divides(row.groups, hidden, row.channels);
        need(row.stride == 1 || !row.shortcut || in != row.channels, "with a stride it cannot add its input: shortcut False");
        break;
      case LayerKind::bottleneck_csp:
      case LayerKind::c3:
      case LayerKind::c3_x:
        need(hidden > 0, "expansion leaves no hidden channels");
        divides(row.groups, hidden, hidden);
        break;
      case LayerKind::c3_ghost: need(hidden > 0 && hidden % 4 == 0, "hidden channels must be a multiple of 4"); break;
      case LayerKind::c3_tr:
        need(hidden > 0 && hidden % kHeads == 0, "hidden channels must be a multiple of 4, the heads of its attention");
        break;
      case LayerKind::ghost_conv:
        need(row.channels % 2 == 0, "channels must be even");
        divides(row.groups, in, row.channels / 2);
        break;
      case LayerKind::ghost_bottleneck:
        need(row.channels % 4 == 0, "channels must be a multiple of 4");
        need(row.stride == 1 || row.stride == 2, "stride must be 1 or 2");
        need(row.stride == 2 || in == row.channels,
             "with stride 1 it adds its input of " + std::to_string(in) + " channels to " + std::to_string(row.channels));
        break;
      case LayerKind::spp:
      case LayerKind::sppf: need(in >= 2, "needs at least 2 input channels"); break;
      case LayerKind::contract: row.channels = in * row.factor * row.factor; break;
      case LayerKind::expand:
        need(in % (row.factor * row.factor) == 0, "its factor squared must divide the input's channels");
        row.channels = in / (row.factor * row.factor);
        break;
      case LayerKind::upsample: row.channels = in; break;
      case LayerKind::concat: row.channels = std::accumulate(layer.in.begin(), layer.in.end(), 0); break;
      case LayerKind::detect: break;
    }
    need(row.channels <= kMostChannels, "has more than " + std::to_string(kMostChannels) + " channels");
  }

  // The side of the output for an image of kProbeSide pixels.
  void plan_size(const PlannedLayer& layer) {
    const LayerRow& row = layer.row;
    const int reach = row.dilation * (row.kernel - 1) + 1;
    switch (row.kind) {
      case LayerKind::conv:
      case LayerKind::dw_conv:
      case LayerKind::focus: {
        if (row.kind == LayerKind::focus) side_ = halved();
        const int padding = row.padding < 0 ? reach / 2 : row.padding;
        side_ = side_ + 2 * padding < reach ? 0 : (side_ + 2 * padding - reach) / row.stride + 1;
        break;
      }
      case LayerKind::ghost_conv:
      case LayerKind::ghost_bottleneck:
      case LayerKind::cross_conv:
        if (row.kernel % 2 == 0) fail("its kernel must be odd");
        side_ = (side_ - 1) / row.stride + 1;
        break;
      case LayerKind::contract:
        if (side_ % row.factor != 0) fail("its factor must divide the size of its input");
        side_ /= row.factor;
        break;
      case LayerKind::expand:
      case LayerKind::upsample: side_ *= row.factor; break;
      case LayerKind::spp:
        for (const int pool : row.pools) {
          if (pool % 2 == 0) fail("its kernels must be odd");
        }
        break;
      case LayerKind::sppf:
        if (row.kernel % 2 == 0) fail("its kernel must be odd");
        break;
      case LayerKind::concat:
        for (const int from : row.from) {
          const int other = from == kImage ? kProbeSide : sides_[static_cast<std::size_t>(from)];
          if (other != side_)
            fail("its inputs have strides " + shown_stride(side_) + " and " + shown_stride(other) + ", which must agree");
        }
        break;
      default: break;
    }
    if (side_ < 1 || side_ > 4 * kProbeSide) fail("its output has no usable size on an image of 256 x 256");
  }

  int halved() const {
    if (side_ % 2 != 0) fail("needs an input of even size");
    return side_ / 2;
  }

  static std::string shown_stride(int side) {
    return kProbeSide % side == 0 ? std::to_string(kProbeSide / side) : "256/" + std::to_string(side);
  }

  void plan_detect(PlannedLayer& layer) {
    if (index_ + 1 != table_.rows.size()) fail("Detect must be the last layer");
    if (layer.in.front() == 0 || index_ == 0) fail("needs layers before it");
    if (layer.row.repeats != 1) fail("cannot be repeated");
    if (layer.in.size() > kMostLevels) fail("has more than 5 levels");
    if (table_.anchors.size() != layer.in.size())
      fail("has " + std::to_string(layer.in.size()) + " levels, but anchors has " +
           std::to_string(table_.anchors.size()) + " rows");
    for (const int from : layer.row.from) {
      const int side = sides_[static_cast<std::size_t>(from)];
      if (kProbeSide % side != 0) fail("a level has the stride 256/" + std::to_string(side) + ", not a whole number");
      plan_.strides.push_back(kProbeSide / side);
    }
    plan_.anchors = table_.anchors;
    plan_.classes = classes_;
    layer.row.channels = per_level() * (classes_ + 5);
  }

  const LayerTable& table_;
  int classes_;
  std::size_t index_ = 0;
  int side_ = kProbeSide;             // of the row at hand
  std::vector<int> channels_, sides_;  // of the layers so far
  LayerPlan plan_;
};

}  // namespace

std::string module_name(LayerKind kind) {
  static constexpr const char* kNames[] = {"Conv",      "DWConv",   "Focus",      "Bottleneck", "BottleneckCSP",
                                           "C3",        "C3Ghost",  "C3TR",       "C3x",        "CrossConv",
                                           "GhostConv", "GhostBottleneck", "SPP", "SPPF",       "Contract",
                                           "Expand",    "nn.Upsample", "Concat",  "Detect"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string row_title(std::size_t index, LayerKind kind) {
  return "layer " + std::to_string(index) + " (" + module_name(kind) + ")";
}

LayerPlan plan_layers(const LayerTable& table, int classes) { return Planner(table, classes).plan(); }

int size_multiple(const LayerPlan& plan) {
  return std::max(32, *std::max_element(plan.strides.begin(), plan.strides.end()));
}

}  // namespace valbench
