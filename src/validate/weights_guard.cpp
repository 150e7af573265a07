#include "validate/weights_guard.h"

#include <fmt/format.h>

#include <utility>

#include "base/clock.h"
#include "validate/flat_checksum.h"

namespace valbench {

WeightsGuard::WeightsGuard(std::vector<GuardedWeights> weights, VerifyMode mode, Tracer& tracer, std::int64_t& off_clock_ns)
    : weights_(std::move(weights)), mode_(mode), tracer_(tracer), off_clock_ns_(off_clock_ns), before_(hashes()) {}

std::vector<std::string> WeightsGuard::hashes() {
  if (mode_ == VerifyMode::none) return {};
  const std::int64_t begin_ns = now_ns();
  const ScopedSpan span(tracer_, Phase::verify);
  std::vector<std::string> all;
  for (const GuardedWeights& weights : weights_) all.push_back(flat_checksum(weights.state));
  off_clock_ns_ += now_ns() - begin_ns;
  return all;
}

std::vector<std::string> WeightsGuard::changes(int rank, int epoch) {
  const std::vector<std::string> after = hashes();
  std::vector<std::string> found;
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (weights_[i].may_change || before_[i] == after[i]) continue;
    found.push_back(fmt::format("validating epoch {} changed {} of rank {}: checksum {} before, {} after", epoch, weights_[i].what, rank,
                                before_[i], after[i]));
  }
  return found;
}

}  // namespace valbench
