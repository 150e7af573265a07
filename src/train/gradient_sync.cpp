#include "train/gradient_sync.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>

#include "base/error.h"

namespace valbench {
namespace {

// DDP's own sizes: 1 MiB for the first bucket, 25 MiB for the others.
constexpr std::int64_t kFirstBytes = 1 << 20;
constexpr std::int64_t kCapBytes = 25 << 20;
constexpr std::int64_t kElementBytes = 4;

bool in_group(const StateSlice& slice, const ParameterSegment& group) {
  return slice.offset >= group.offset && slice.offset < group.offset + group.elements;
}

}  // namespace

std::vector<GradientBucket> plan_gradient_buckets(const ParameterStore& store, std::int64_t first_bytes, std::int64_t cap_bytes) {
  const ParameterSegment& weights = store.groups()[1];
  std::vector<GradientBucket> buckets;
  GradientBucket rest, open;
  for (std::size_t i = store.slices().size(); i-- > 0;) {
    const StateSlice& slice = store.slices()[i];
    GradientBucket& bucket = in_group(slice, weights) ? open : rest;
    const std::int64_t end = bucket.elements > 0 ? bucket.offset + bucket.elements : aligned_end(slice);
    bucket.offset = slice.offset;  // Going backwards: the lowest offset so far.
    bucket.elements = end - slice.offset;
    bucket.slices.push_back(i);
    const std::int64_t cap = buckets.empty() ? first_bytes : cap_bytes;
    if (open.elements * kElementBytes >= cap) buckets.push_back(std::exchange(open, {}));
  }
  if (open.elements > 0) buckets.push_back(std::move(open));
  if (rest.elements > 0) buckets.push_back(std::move(rest));
  return buckets;
}

class GradientReducer::Hook final : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientReducer& sync, std::size_t bucket) : sync_(sync), bucket_(bucket) {}
  void operator()(const torch::autograd::Variable&) override { sync_.ready(bucket_); }

 private:
  GradientReducer& sync_;
  std::size_t bucket_;
};

GradientReducer::GradientReducer(ParameterStore& store, Communicator& communicator) : store_(store), communicator_(communicator) {
  if (communicator.world_size() == 1) return;
  buckets_ = plan_gradient_buckets(store, kFirstBytes, kCapBytes);
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    for (const std::size_t slice : buckets_[b].slices) {
      torch::autograd::impl::set_post_acc_grad_hooks(store_.entry(store_.slices()[slice]), std::make_unique<Hook>(*this, b));
    }
  }
}

GradientReducer::~GradientReducer() {
  for (const GradientBucket& bucket : buckets_) {
    for (const std::size_t slice : bucket.slices) {
      torch::autograd::impl::set_post_acc_grad_hooks(store_.entry(store_.slices()[slice]), nullptr);
    }
  }
}

void GradientReducer::arm(bool reduce) {
  armed_ = reduce && !buckets_.empty();
  next_ = 0;
  missing_.assign(buckets_.size(), 0);
  for (std::size_t b = 0; b < buckets_.size(); ++b) missing_[b] = buckets_[b].slices.size();
}

void GradientReducer::ready(std::size_t bucket) {
  if (!armed_) return;
  --missing_[bucket];
  while (next_ < buckets_.size() && missing_[next_] == 0) {
    const GradientBucket& due = buckets_[next_++];
    pending_.push_back(communicator_.all_reduce_sum(store_.gradients().narrow(0, due.offset, due.elements)));
  }
}

void GradientReducer::finish() {
  if (!armed_) return;
  armed_ = false;
  if (next_ != buckets_.size()) throw Error("a parameter got no gradient in the backward pass: its bucket was never reduced");
  for (const auto& collective : pending_) collective->wait();
  pending_.clear();
  at::Tensor(store_.gradients()).div_(communicator_.world_size());
}

}  // namespace valbench
