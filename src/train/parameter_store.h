/// \file
/// A model's state and gradients in two flat buffers (design §10): the optimizer, clipping, EMA, snapshots and gradient averaging work on
/// slices of them, and the model's tensors are views.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "detect/state_layout.h"

namespace valbench {

/// One of YOLOv5's optimizer groups (§4.1) as a contiguous range.
struct ParameterSegment {
  std::int64_t offset = 0, elements = 0;
};

class ParameterStore {
 public:
  /// Takes over the model's tensors; the model must outlive the store and not be moved to another device afterwards.
  /// \param freeze layers whose parameters get no gradient (§4.6); their running statistics move on. Throws InputError for a layer that
  /// the model does not have, and when nothing is left to train.
  explicit ParameterStore(DetectionModel& model, const std::vector<int>& freeze = {});

  const at::Tensor& state() const { return state_; }            ///< Everything that floats, flat_state_layout order.
  const at::Tensor& parameters() const { return parameters_; }  ///< The trainable front part of state().
  const at::Tensor& buffers() const { return buffers_; }        ///< The rest: running statistics and anchors.
  const at::Tensor& gradients() const { return gradients_; }    ///< Same layout as parameters().
  void zero_gradients();

  /// YOLOv5's order: 0 bias, 1 weight (decays), 2 norm weight.
  const std::array<ParameterSegment, 3>& groups() const { return groups_; }
  /// The parts of `flat` (of the length of parameters()) that belong to a group and are not frozen, as few and long as possible.
  std::vector<at::Tensor> active_parts(std::size_t group, const at::Tensor& flat) const;
  /// Trainable entries that are not frozen, in flat order.
  const std::vector<StateSlice>& slices() const { return slices_; }
  at::Tensor& entry(const StateSlice& slice) { return model_.state()[slice.entry].tensor; }

 private:
  DetectionModel& model_;
  at::Tensor state_, parameters_, buffers_, gradients_;
  std::array<ParameterSegment, 3> groups_{};
  std::array<std::vector<ParameterSegment>, 3> active_;
  std::vector<StateSlice> slices_;
};

}  // namespace valbench
