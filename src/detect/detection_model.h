/// \file
/// A YOLOv5 detector: state by name, raw forward pass, decoding.
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace valbench {

/// An entry of the state dict. The handle shares its tensor with the model: set_data() on it re-points the model's storage, which is
/// how ParameterStore lays everything out in flat buffers.
struct StateEntry {
  std::string name;  ///< `model.0.conv.weight`
  at::Tensor tensor;
  enum class Kind { bias, weight, norm_weight, running_stat, batches_tracked, anchors } kind;
  bool trainable() const { return kind == Kind::bias || kind == Kind::weight || kind == Kind::norm_weight; }
};

class DetectionModel {
 public:
  virtual ~DetectionModel() = default;
  /// Raw logits per level, (N, anchors, ny, nx, 5 + classes). `training`: batch statistics, running statistics updated.
  virtual std::vector<at::Tensor> forward(const at::Tensor& images, bool training) = 0;
  /// Sigmoid and box decoding of raw levels: (N, rows, 5 + classes), x y w h in network-input pixels, in the dtype of the input;
  /// in fp32 for bf16, which has too few bits for pixels.
  virtual at::Tensor decode(const std::vector<at::Tensor>& raw) const = 0;
  /// All parameters and buffers in YOLOv5's state_dict order.
  virtual std::vector<StateEntry>& state() = 0;
  const std::vector<StateEntry>& state() const { return const_cast<DetectionModel*>(this)->state(); }
  /// A second model of the same configuration, values copied, same device and dtype.
  virtual std::unique_ptr<DetectionModel> clone() const = 0;
  /// Moves all state to a device and floating state to a dtype (batches_tracked stays int64).
  virtual void to(c10::Device device, c10::ScalarType dtype) = 0;
  /// Folds every batch norm into its convolution (§1.9): for stand-alone validation. The state afterwards has no bn entries.
  virtual void fuse() = 0;
  virtual int classes() const = 0;
  virtual const std::vector<int>& strides() const = 0;  ///< By level: 8, 16, 32[, 64]; a model file may name the levels in another order.
  virtual const at::Tensor& anchors() const = 0;         ///< (levels, na, 2) in grid units (pixels / stride).
  virtual std::string name() const = 0;                  ///< yolov5n
};

/// Builds yolov5{n,s,m,l,x}, yolov5{n,s,m,l,x}6 or a model YAML file with YOLOv5's initial state (§1.1, §1.7), seeded.
/// Throws InputError that lists the names, ScenarioError for a file.
std::unique_ptr<DetectionModel> make_yolov5(const std::string& name, int classes, std::uint64_t seed);

int largest_stride(const DetectionModel& model);
/// The multiple that image sizes are rounded up to: the largest stride, at least 32, as size_multiple() of a plan (scenario/layer_table.h).
int size_multiple(const DetectionModel& model);

/// Copies entries whose name exists and whose shape is equal (§1.8 partial load). Returns how many were copied.
int load_matching_state(DetectionModel& model, const std::vector<std::pair<std::string, at::Tensor>>& tensors);

/// Checksum (base/checksum.h) of all floating state in order, whatever the device and memory layout: equal weights, equal text.
std::string state_checksum(const DetectionModel& model);

}  // namespace valbench
