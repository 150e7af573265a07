// Which tensors a block holds, and how YOLOv5's state_dict calls them (reference yolov5.md §1.8).
#include "detect/yolov5_layers.h"

namespace valbench {
namespace {

using Kind = StateEntry::Kind;

/// Walks through a block in state_dict order; convolutions with norm are handed over whole, other tensors one by one.
struct Walk {
  std::function<void(const std::string& name, ConvBlock& conv)> conv;
  TensorVisitor tensor;

  void operator()(const std::string& name, ConvBlock& block) const { conv(name, block); }
  void operator()(const std::string& name, Bottleneck& block) const {
    conv(name + ".cv1", block.cv1);
    conv(name + ".cv2", block.cv2);
  }
  void operator()(const std::string& name, GhostConv& block) const {
    conv(name + ".cv1", block.cv1);
    conv(name + ".cv2", block.cv2);
  }
  void operator()(const std::string& name, GhostBottleneck& block) const {
    (*this)(name + ".conv.0", block.first);
    if (block.down) conv(name + ".conv.1", *block.down);
    (*this)(name + ".conv.2", block.last);
    if (!block.shortcut) return;
    conv(name + ".shortcut.0", block.shortcut->front());
    conv(name + ".shortcut.1", block.shortcut->back());
  }
  void operator()(const std::string& name, Transformer& block) const { visit_transformer(name, block, tensor); }
  template <class Part>
  void operator()(const std::string& name, std::vector<Part>& parts) const {
    for (std::size_t i = 0; i < parts.size(); ++i) (*this)(name + "." + std::to_string(i), parts[i]);
  }
  void operator()(const std::string& name, C3& block) const {
    conv(name + ".cv1", block.cv1);
    conv(name + ".cv2", block.cv2);
    conv(name + ".cv3", block.cv3);
    std::visit([&](auto& m) { (*this)(name + ".m", m); }, block.m);
  }
  void operator()(const std::string& name, BottleneckCsp& block) const {
    conv(name + ".cv1", block.cv1);
    tensor(name + ".cv2.weight", block.cv2, Kind::weight);
    tensor(name + ".cv3.weight", block.cv3, Kind::weight);
    conv(name + ".cv4", block.cv4);
    visit_norm_tensors(name + ".bn", block.norm, tensor);
    (*this)(name + ".m", block.m);
  }
  void operator()(const std::string& name, Spp& block) const {
    conv(name + ".cv1", block.cv1);
    conv(name + ".cv2", block.cv2);
  }
  void operator()(const std::string& name, Sppf& block) const {
    conv(name + ".cv1", block.cv1);
    conv(name + ".cv2", block.cv2);
  }
  void operator()(const std::string& name, Focus& block) const { conv(name + ".conv", block.conv); }
  void operator()(const std::string& name, DetectHead& block) const {
    tensor(name + ".anchors", block.anchors, Kind::anchors);
    for (std::size_t level = 0; level < block.weights.size(); ++level) {
      const std::string conv_name = name + ".m." + std::to_string(level);
      tensor(conv_name + ".weight", block.weights[level], Kind::weight);
      tensor(conv_name + ".bias", block.biases[level], Kind::bias);
    }
  }
  void operator()(const std::string&, Contract&) const {}
  void operator()(const std::string&, Expand&) const {}
  void operator()(const std::string&, Upsample&) const {}
  void operator()(const std::string&, Concat&) const {}
};

void walk(const Walk& steps, const std::string& prefix, Layer& layer) {
  for (std::size_t i = 0; i < layer.blocks.size(); ++i) {
    const std::string name = layer.blocks.size() > 1 ? prefix + "." + std::to_string(i) : prefix;
    std::visit([&](auto& block) { steps(name, block); }, layer.blocks[i]);
  }
}

}  // namespace

void visit_tensors(const std::string& prefix, Layer& layer, const TensorVisitor& visit) {
  walk({.conv = [&](const std::string& name, ConvBlock& conv) { visit_conv_tensors(name, conv, visit); },
        .tensor = visit},
       prefix, layer);
}

void visit_convs(Layer& layer, const std::function<void(ConvBlock&)>& visit) {
  walk({.conv = [&](const std::string&, ConvBlock& conv) { visit(conv); },
        .tensor = [](const std::string&, at::Tensor&, Kind) {}},
       "", layer);
}

}  // namespace valbench
