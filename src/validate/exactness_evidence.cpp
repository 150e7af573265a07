#include "validate/exactness_evidence.h"

#include <ATen/ATen.h>

#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace valbench {

ExactnessEvidence::~ExactnessEvidence() {
  std::error_code ignored;
  for (const auto& [epoch, kept] : kept_) {
    if (!kept.file.empty()) std::filesystem::remove(kept.file, ignored);
  }
}

void ExactnessEvidence::keep(const ModelSnapshot& snapshot, PartialScore merged) {
  if (mode_ == VerifyMode::none) return;
  Kept kept{.score = std::move(merged), .state = {}, .file = {}, .like = {}};
  if (mode_ == VerifyMode::last) {
    kept.state = snapshot.state;
  } else {
    const at::Tensor host = snapshot.state.detach().cpu().contiguous();
    kept.file = folder_ / ("verify-epoch" + std::to_string(snapshot.epoch) + ".state");
    kept.like = at::empty(host.sizes(), host.options().device(at::kMeta));
    write_atomically(kept.file, std::string_view(static_cast<const char*>(host.const_data_ptr()), host.nbytes()));
  }
  const std::lock_guard lock(mutex_);
  if (mode_ == VerifyMode::last) {
    if (!kept_.empty() && kept_.rbegin()->first > snapshot.epoch) return;
    kept_.clear();
  }
  kept_[snapshot.epoch] = std::move(kept);
}

void ExactnessEvidence::add_score(int epoch, PartialScore merged) {
  const std::lock_guard lock(mutex_);
  if (const auto found = kept_.find(epoch); found != kept_.end()) found->second.score = std::move(merged);
}

const PartialScore* ExactnessEvidence::score(int epoch) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(epoch);
  return found == kept_.end() ? nullptr : &found->second.score;
}

at::Tensor ExactnessEvidence::state(int epoch) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(epoch);
  if (found == kept_.end()) return {};
  const Kept& kept = found->second;
  if (kept.file.empty()) return kept.state;
  const std::string bytes = read_file(kept.file);
  at::Tensor state = at::empty(kept.like.sizes(), kept.like.options().device(at::kCPU));
  if (bytes.size() != state.nbytes()) throw RecordError(kept.file.string() + ": not the size of a snapshot");
  std::memcpy(state.mutable_data_ptr(), bytes.data(), bytes.size());
  return state;
}

}  // namespace valbench
