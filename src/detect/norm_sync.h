/// \file
/// Batch norm, in training over the images of all ranks where that is asked for (--sync-bn, reference yolov5.md §4.6). What adds up over
/// ranks is handed in: this module knows of none.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>

namespace valbench {

/// Adds a tensor up over all ranks, in place. Called in the same order on every rank; in the backward pass by autograd's thread.
using SumOverRanks = std::function<void(const at::Tensor&)>;

struct NormConstants {
  double momentum = 0, epsilon = 0;
};

/// Batch norm on this thread is synchronised in training while it lives; with an empty function nothing changes. The function must outlive
/// the backward pass.
class NormSyncScope {
 public:
  explicit NormSyncScope(const SumOverRanks& sum);
  ~NormSyncScope();
  NormSyncScope(const NormSyncScope&) = delete;
  NormSyncScope& operator=(const NormSyncScope&) = delete;

 private:
  const SumOverRanks* before_;
};

/// Torch's batch norm; inside a NormSyncScope, and in training, that of the ranks' images together.
at::Tensor batch_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                      const at::Tensor& running_var, bool training, NormConstants constants);

}  // namespace valbench
