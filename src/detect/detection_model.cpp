#include "detect/detection_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <unordered_map>

#include "base/checksum.h"

namespace valbench {
namespace {

// Copying one tensor after the other is bound by memory, and too little work to share out: on a busy machine the threads
// would wait for each other at the end of every one of hundreds of tensors (2.8 s for yolov5x where one thread takes 0.2).
class OneThread {
 public:
  OneThread() : threads_(at::get_num_threads()) { at::set_num_threads(1); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread() { at::set_num_threads(threads_); }

 private:
  int threads_;
};

}  // namespace

int largest_stride(const DetectionModel& model) { return *std::max_element(model.strides().begin(), model.strides().end()); }

int size_multiple(const DetectionModel& model) { return std::max(32, largest_stride(model)); }

int load_matching_state(DetectionModel& model, const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  const at::NoGradGuard no_grad;
  const OneThread one;
  std::unordered_map<std::string, const at::Tensor*> by_name;
  for (const auto& [name, tensor] : tensors) by_name[name] = &tensor;
  int copied = 0;
  for (StateEntry& entry : model.state()) {
    const auto found = by_name.find(entry.name);
    if (found == by_name.end() || found->second->sizes() != entry.tensor.sizes()) continue;
    entry.tensor.copy_(*found->second);
    ++copied;
  }
  return copied;
}

std::string state_checksum(const DetectionModel& model) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> bytes;
  for (const StateEntry& entry : model.state()) {
    if (entry.kind == StateEntry::Kind::batches_tracked) continue;
    // Row-major whatever the memory layout.
    bytes.push_back(entry.tensor.detach().contiguous().flatten().view(at::kByte));
  }
  // One copy from the device for all entries.
  const at::Tensor all = at::cat(bytes).cpu();
  return checksum_text(checksum({static_cast<const std::byte*>(all.const_data_ptr()), all.nbytes()}));
}

}  // namespace valbench
