#include "detect/yolov5.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace valbench {
namespace {

std::string known_names() {
  std::string names;
  for (const char* suffix : {"", "6"}) {
    for (const ModelScale& scale : model_scales())
      names += (names.empty() ? "yolov5" : ", yolov5") + scale.size + suffix;
  }
  return names;
}

// As the layers' shared TensorImpl must live on, the new data goes into the tensor. A gradient of another type cannot
// be added to.
void replace_data(at::Tensor& tensor, const at::Tensor& data) {
  if (tensor.is_floating_point() && (tensor.dtype() != data.dtype() || tensor.device() != data.device())) {
    tensor.mutable_grad().reset();
  }
  tensor.set_data(data);
}

}  // namespace

Yolov5::Yolov5(std::string name, int classes, BuiltLayers built)
    : name_(std::move(name)), classes_(classes), built_(std::move(built)), grids_(built_.strides.size()) {
  last_use_.resize(built_.layers.size());
  for (std::size_t i = 0; i < built_.layers.size(); ++i) {
    for (const int from : built_.layers[i].from) {
      if (from >= 0) last_use_[static_cast<std::size_t>(from)] = i;
    }
  }
  collect_state();
}

std::vector<at::Tensor> Yolov5::forward(const at::Tensor& images, bool training) {
  // One kernel for all layers' counters.
  if (training && built_.batches_tracked.defined()) built_.batches_tracked.add_(1);
  std::vector<at::Tensor> outputs(built_.layers.size());
  for (std::size_t i = 0; i + 1 < built_.layers.size(); ++i) {
    const Layer& layer = built_.layers[i];
    const int from = layer.from.front();
    outputs[i] = run(layer, from < 0 ? images : outputs[static_cast<std::size_t>(from)], outputs, training);
    for (const int input : layer.from) {
      if (input >= 0 && last_use_[static_cast<std::size_t>(input)] == i)
        outputs[static_cast<std::size_t>(input)].reset();
    }
  }
  std::vector<at::Tensor> raw;
  const std::vector<int>& levels = built_.layers.back().from;
  for (std::size_t level = 0; level < levels.size(); ++level) {
    raw.push_back(forward_detect_level(head(), level, outputs[static_cast<std::size_t>(levels[level])]));
  }
  return raw;
}

at::Tensor Yolov5::run(const Layer& layer, const at::Tensor& first, const std::vector<at::Tensor>& outputs,
                       bool training) const {
  if (const auto* conv = std::get_if<ConvBlock>(&layer.block)) return conv_norm_silu(*conv, first, training);
  if (const auto* c3 = std::get_if<C3>(&layer.block)) return forward_c3(*c3, first, training);
  if (const auto* sppf = std::get_if<Sppf>(&layer.block)) return forward_sppf(*sppf, first, training);
  if (std::holds_alternative<Upsample>(layer.block)) {
    return at::upsample_nearest2d(first, {first.size(2) * 2, first.size(3) * 2}, 2.0, 2.0);
  }
  std::vector<at::Tensor> inputs;
  for (const int from : layer.from) inputs.push_back(outputs[static_cast<std::size_t>(from)]);
  return at::cat(inputs, 1);
}

at::Tensor Yolov5::decode(const std::vector<at::Tensor>& raw) const {
  const at::NoGradGuard no_grad;
  const std::int64_t images = raw.front().size(0), columns = raw.front().size(4);
  std::int64_t rows = 0;
  for (const at::Tensor& level : raw) rows += level.size(1) * level.size(2) * level.size(3);
  at::Tensor decoded =
      at::empty({images, rows, columns}, raw.front().options().memory_format(at::MemoryFormat::Contiguous));
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const at::Tensor& level = raw[i];
    const std::int64_t level_rows = level.size(1) * level.size(2) * level.size(3);
    at::Tensor out = decoded.narrow(1, begin, level_rows).view(level.sizes());
    begin += level_rows;
    at::sigmoid_out(out, level);
    // Operation by operation as YOLOv5 has it, so that fp16 rounds alike.
    const int stride = built_.strides[i];
    out.narrow(4, 0, 2).mul_(2).add_(cell_grid(i, level)).mul_(stride);
    const at::Tensor anchor_pixels = head().anchors[static_cast<std::int64_t>(i)].to(level.options()).mul(stride);
    out.narrow(4, 2, 2).mul_(2).pow_(2).mul_(anchor_pixels.view({1, -1, 1, 1, 2}));
  }
  return decoded;
}

// (ny, nx, 2): column - 0.5, row - 0.5, in the dtype and on the device of `raw`.
at::Tensor Yolov5::cell_grid(std::size_t level, const at::Tensor& raw) const {
  const std::int64_t ny = raw.size(2), nx = raw.size(3);
  at::Tensor& grid = grids_[level];
  if (!grid.defined() || grid.size(0) != ny || grid.size(1) != nx || grid.dtype() != raw.dtype() ||
      grid.device() != raw.device()) {
    const at::Tensor x = at::arange(nx, raw.options()), y = at::arange(ny, raw.options());
    grid = at::stack({x.expand({ny, nx}), y.unsqueeze(1).expand({ny, nx})}, 2).sub_(0.5);
  }
  return grid;
}

std::unique_ptr<DetectionModel> Yolov5::clone() const {
  const at::NoGradGuard no_grad;
  BuiltLayers copy = built_;
  for (Layer& layer : copy.layers) {
    visit_tensors("", layer.block, [](const std::string&, at::Tensor& tensor, StateEntry::Kind kind) {
      const bool trained = tensor.requires_grad();
      tensor = kind == StateEntry::Kind::batches_tracked ? tensor.variable_data() : tensor.detach().clone();
      if (trained) tensor.requires_grad_();
    });
  }
  auto model = std::make_unique<Yolov5>(name_, classes_, std::move(copy));
  if (built_.batches_tracked.defined()) model->share_batch_counters(built_.batches_tracked.clone());
  return model;
}

void Yolov5::to(c10::Device device, c10::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  for (StateEntry& entry : state_) {
    if (entry.kind != StateEntry::Kind::batches_tracked)
      replace_data(entry.tensor, entry.tensor.detach().to(device, dtype));
  }
  if (built_.batches_tracked.defined()) share_batch_counters(built_.batches_tracked.to(device));
}

void Yolov5::fuse() {
  for (Layer& layer : built_.layers) visit_convs(layer.block, fuse_conv_norm);
  built_.batches_tracked.reset();
  collect_state();
}

const at::Tensor& Yolov5::anchors() const { return head().anchors; }

const DetectHead& Yolov5::head() const { return std::get<DetectHead>(built_.layers.back().block); }

void Yolov5::collect_state() {
  state_.clear();
  for (std::size_t i = 0; i < built_.layers.size(); ++i) {
    visit_tensors("model." + std::to_string(i), built_.layers[i].block,
                  [&](const std::string& name, at::Tensor& tensor, StateEntry::Kind kind) {
                    state_.push_back({.name = name, .tensor = tensor, .kind = kind});
                  });
  }
}

void Yolov5::share_batch_counters(const at::Tensor& counters) {
  built_.batches_tracked = counters;
  std::int64_t next = 0;
  for (StateEntry& entry : state_) {
    if (entry.kind == StateEntry::Kind::batches_tracked) entry.tensor.set_data(counters.select(0, next++));
  }
}

std::unique_ptr<DetectionModel> make_yolov5(const std::string& name, int classes, std::uint64_t seed) {
  if (classes < 1) throw InputError(fmt::format("{} cannot be built for {} classes. Give at least 1.", name, classes));
  for (const ModelScale& scale : model_scales()) {
    const LayerTable* table = name == "yolov5" + scale.size         ? &p5_table()
                              : name == "yolov5" + scale.size + "6" ? &p6_table()
                                                                    : nullptr;
    if (table != nullptr) return std::make_unique<Yolov5>(name, classes, build_layers(*table, scale, classes, seed));
  }
  throw InputError(fmt::format("model = {}: unknown model. Known: {}.", name, known_names()));
}

}  // namespace valbench
