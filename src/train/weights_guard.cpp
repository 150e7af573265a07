#include "train/weights_guard.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "validate/flat_checksum.h"

namespace valbench {

WeightsGuard::WeightsGuard(const TrainStep& step, const RunSpec& spec, Tracer& tracer, std::int64_t& off_clock_ns)
    : step_(step), spec_(spec), tracer_(tracer), off_clock_ns_(off_clock_ns), before_(take()) {}

WeightsGuard::Hashes WeightsGuard::take() {
  if (spec_.verify == VerifyMode::none) return {};
  const std::int64_t begin_ns = now_ns();
  const ScopedSpan span(tracer_, Phase::verify);
  const at::Tensor& ema = step_.ema_state();
  Hashes hashes{flat_checksum(step_.model_state()), flat_checksum(ema.defined() ? ema : step_.model_state())};
  off_clock_ns_ += now_ns() - begin_ns;
  return hashes;
}

std::vector<std::string> WeightsGuard::changes(int rank, int epoch) {
  const Hashes after = take();
  std::vector<std::string> found;
  const auto compare = [&](const char* what, const std::string& before, const std::string& now) {
    if (before == now) return;
    found.push_back(fmt::format("validating epoch {} changed {} of rank {}: checksum {} before, {} after", epoch, what, rank, before, now));
  };
  compare("the trained model", before_.model, after.model);
  if (step_.ema_state().defined() && spec_.validation.ema == EmaUse::copy) compare("the EMA", before_.ema, after.ema);
  return found;
}

}  // namespace valbench
