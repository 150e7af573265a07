/// \file
/// Averages gradients over the ranks in buckets of the flat gradient buffer, overlapped with the backward pass.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "train/parameter_store.h"

namespace valbench {

/// A contiguous range of the flat gradient that is reduced at once, when all parameters in it have their gradient.
struct GradientBucket {
  std::int64_t offset = 0, elements = 0;
  std::vector<std::size_t> slices;  ///< Indices into ParameterStore::slices().
};

/// Weights in reverse model order (the order in which backward finishes them) cut at about `cap_bytes`, the first bucket small so that
/// communication starts early; norm weights and biases, which come from every layer, last.
std::vector<GradientBucket> plan_gradient_buckets(const ParameterStore& store, std::int64_t first_bytes, std::int64_t cap_bytes);

/// Every rank fires its buckets in the same order, whatever order its hooks run in. Accumulated gradients are reduced in place: what has been
/// averaged before is equal on all ranks, so averaging the sum again leaves it as it is and averages only what is new. That is DDP's
/// behaviour without no_sync.
class GradientReducer {
 public:
  GradientReducer(ParameterStore& store, Communicator& communicator);
  ~GradientReducer();

  /// Before a backward pass. `reduce` false: this pass only accumulates (gradient_sync: step).
  void arm(bool reduce);
  /// After it: waits for the buckets (on a GPU: orders the stream) and divides by the number of ranks.
  void finish();

 private:
  class Hook;
  void ready(std::size_t bucket);

  ParameterStore& store_;
  Communicator& communicator_;
  std::vector<GradientBucket> buckets_;
  std::vector<std::size_t> missing_;  ///< Per bucket: parameters without their gradient yet.
  std::size_t next_ = 0;              ///< The bucket to fire next.
  std::vector<std::unique_ptr<PendingCollective>> pending_;
  bool armed_ = false;
};

}  // namespace valbench
