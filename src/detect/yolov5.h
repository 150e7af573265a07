/// \file
/// DetectionModel of a layer table.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "detect/detection_model.h"
#include "detect/build_layers.h"
#include "scenario/layer_table.h"

namespace valbench {

/// A network built from a table. Not safe for use by several threads at once: give each its own clone().
class Yolov5 final : public DetectionModel {
 public:
  Yolov5(std::string name, int classes, BuiltLayers built);

  std::vector<at::Tensor> forward(const at::Tensor& images, bool training) override;
  at::Tensor decode(const std::vector<at::Tensor>& raw) const override;
  std::vector<StateEntry>& state() override { return state_; }
  std::unique_ptr<DetectionModel> clone() const override;
  void to(c10::Device device, c10::ScalarType dtype) override;
  void fuse() override;
  int classes() const override { return classes_; }
  const std::vector<int>& strides() const override { return built_.strides; }
  const at::Tensor& anchors() const override;
  std::string name() const override { return name_; }

  /// Running means as YOLOv5's constructor leaves them, by a training pass over an image of zeros.
  void pass_zeros();

 private:
  static at::Tensor run(const Layer& layer, const std::vector<at::Tensor>& inputs, bool training);
  at::Tensor cell_grid(std::size_t level, const at::Tensor& raw) const;
  const DetectHead& head() const;
  void collect_state();

  std::string name_;
  int classes_;
  BuiltLayers built_;
  std::vector<std::size_t> last_use_;  // per layer: the last layer that reads its output
  std::vector<StateEntry> state_;
  mutable std::vector<at::Tensor> grids_;  // per level, of the last shape decoded
};

/// Builds a table with YOLOv5's initial state (§1.1, §1.7), seeded. Throws ScenarioError where rows do not fit together.
std::unique_ptr<DetectionModel> make_yolov5(const LayerTable& table, const std::string& name, int classes,
                                            std::uint64_t seed);

}  // namespace valbench
