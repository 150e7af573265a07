#include "detect/yolov5.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace valbench {
namespace {

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
  if (training) built_.batches_tracked.add_(1);
  std::vector<at::Tensor> outputs(built_.layers.size());
  for (std::size_t i = 0; i + 1 < built_.layers.size(); ++i) {
    const Layer& layer = built_.layers[i];
    std::vector<at::Tensor> inputs;
    for (const int from : layer.from) inputs.push_back(from < 0 ? images : outputs[static_cast<std::size_t>(from)]);
    outputs[i] = run(layer, inputs, training);
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

at::Tensor Yolov5::run(const Layer& layer, const std::vector<at::Tensor>& inputs, bool training) {
  at::Tensor y = forward_block(layer.blocks.front(), inputs, training);
  for (std::size_t i = 1; i < layer.blocks.size(); ++i) y = forward_block(layer.blocks[i], {&y, 1}, training);
  return y;
}

at::Tensor Yolov5::decode(const std::vector<at::Tensor>& raw) const {
  const at::NoGradGuard no_grad;
  const std::int64_t images = raw.front().size(0), columns = raw.front().size(4);
  std::int64_t rows = 0;
  for (const at::Tensor& level : raw) rows += level.size(1) * level.size(2) * level.size(3);
  at::TensorOptions options = raw.front().options().memory_format(at::MemoryFormat::Contiguous);
  // bf16 would keep 8 bits of a coordinate, which are steps of 4 px at 640: 0.03 of mAP50-95. YOLOv5 validates in fp16 at the least.
  if (raw.front().scalar_type() == at::kBFloat16) options = options.dtype(at::kFloat);
  at::Tensor decoded = at::empty({images, rows, columns}, options);
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const at::Tensor level = raw[i].to(options.dtype());
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

void Yolov5::pass_zeros() {
  const at::NoGradGuard no_grad;
  forward(at::zeros({1, 3, 256, 256}), true);
  built_.batches_tracked.fill_(1);
  for (StateEntry& entry : state_) {
    // The pass ran with our momentum, YOLOv5's runs with PyTorch's 0.1.
    if (entry.name.ends_with(".running_mean")) entry.tensor.mul_(0.1 / kNormMomentum);
    if (entry.name.ends_with(".running_var")) entry.tensor.fill_(0.9);
  }
}

std::unique_ptr<DetectionModel> Yolov5::clone() const {
  const at::NoGradGuard no_grad;
  BuiltLayers copy = built_;
  for (Layer& layer : copy.layers) {
    visit_tensors("", layer, [](const std::string&, at::Tensor& tensor, StateEntry::Kind kind) {
      const bool trained = tensor.requires_grad();
      tensor = kind == StateEntry::Kind::batches_tracked ? tensor.variable_data() : tensor.detach().clone();
      if (trained) tensor.requires_grad_();
    });
  }
  share_batch_counters(copy, built_.batches_tracked.clone());
  return std::make_unique<Yolov5>(name_, classes_, std::move(copy));
}

void Yolov5::to(c10::Device device, c10::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  for (StateEntry& entry : state_) {
    if (entry.kind != StateEntry::Kind::batches_tracked)
      replace_data(entry.tensor, entry.tensor.detach().to(device, dtype));
  }
  share_batch_counters(built_, built_.batches_tracked.to(device));
}

void Yolov5::fuse() {
  // Norms without a convolution of their own stay.
  std::vector<at::Tensor> kept;
  for (Layer& layer : built_.layers) {
    visit_convs(layer, fuse_conv_norm);
    visit_tensors("", layer, [&](const std::string&, at::Tensor& tensor, StateEntry::Kind kind) {
      if (kind == StateEntry::Kind::batches_tracked) kept.push_back(tensor.detach());
    });
  }
  share_batch_counters(built_, kept.empty() ? built_.batches_tracked.slice(0, 0, 0).clone() : at::stack(kept));
  collect_state();
}

const at::Tensor& Yolov5::anchors() const { return head().anchors; }

const DetectHead& Yolov5::head() const { return std::get<DetectHead>(built_.layers.back().blocks.front()); }

void Yolov5::collect_state() {
  state_.clear();
  for (std::size_t i = 0; i < built_.layers.size(); ++i) {
    visit_tensors("model." + std::to_string(i), built_.layers[i],
                  [&](const std::string& name, at::Tensor& tensor, StateEntry::Kind kind) {
                    state_.push_back({.name = name, .tensor = tensor, .kind = kind});
                  });
  }
}

std::unique_ptr<DetectionModel> make_yolov5(const LayerTable& table, const std::string& name, int classes,
                                            std::uint64_t seed) {
  if (classes < 1) throw InputError(fmt::format("{} cannot be built for {} classes. Give at least 1.", name, classes));
  const LayerPlan plan = plan_layers(table, classes);
  auto model = std::make_unique<Yolov5>(name, classes, build_layers(plan, seed));
  const auto has_transformer = [](const PlannedLayer& layer) { return layer.row.kind == LayerKind::c3_tr; };
  // YOLOv5's first pass over zeros leaves every running mean at 0 (§1.1), but where a bias comes before a norm.
  if (std::any_of(plan.layers.begin(), plan.layers.end(), has_transformer)) model->pass_zeros();
  return model;
}

std::unique_ptr<DetectionModel> make_yolov5(const std::string& name, int classes, std::uint64_t seed) {
  return make_yolov5(model_table(name, Compat::v7_0), model_name(name), classes, seed);
}

}  // namespace valbench
