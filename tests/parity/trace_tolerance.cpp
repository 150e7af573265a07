// The tolerances of golden page data_training_validation.md, "Fair tolerances", and "Finetune traces".
#include <algorithm>

#include "tests/parity/trace_replay.h"

namespace valbench::test {
namespace {

bool finetune(const nlohmann::json& trace) { return trace.at("settings").contains("weights"); }
bool sine(const nlohmann::json& trace) { return trace.at("settings").value("init_formula", "") == "sine"; }
/// "The long one …: widen by 5 after step 60."
double widening(const nlohmann::json& trace, int step) { return trace.at("steps").size() > 60 && step > 60 ? 5.0 : 1.0; }

}  // namespace

TraceTolerance step_tolerance(const nlohmann::json& trace, int step, int epoch) {
  if (finetune(trace)) {
    const double w = widening(trace, step);
    return {.loss = 1e-5 * w, .items = 3e-5 * w, .gradient_norm = 1e-4 * w};
  }
  if (sine(trace) && step > 0) return {};
  const int row = std::min(step / 4, 3);
  constexpr double kLoss[] = {2e-5, 3e-4, 2e-3, 1e-2};
  constexpr double kItems[] = {5e-5, 3e-3, 4e-3, 4e-2};
  constexpr double kGradient[] = {1e-3, 0.15, 0.2, 0.3};
  constexpr double kSamples[] = {2e-5, 3e-4, 3e-3};
  return {.loss = kLoss[row], .items = kItems[row], .gradient_norm = kGradient[row], .param_l2 = 1e-5,
          .samples = kSamples[std::min(epoch, 2)]};
}

TraceTolerance epoch_tolerance(const nlohmann::json& trace, int epoch) {
  if (sine(trace)) return {};
  if (finetune(trace)) {
    const int last_step = static_cast<int>(trace.at("steps").size() / trace.at("epochs").size()) * (epoch + 1) - 1;
    const double w = widening(trace, last_step);
    return {.items = 3e-5 * w, .param_l2 = 1e-6 * w, .ema_l2 = 1e-6 * w, .samples = 5e-6 * w, .val_loss = 3e-5 * w,
            .map = 0.0005 * w, .precision = 0.005 * w, .recall = 0.005 * w};
  }
  constexpr double kSamples[] = {2e-5, 3e-4, 3e-3};
  constexpr double kValLoss[] = {1e-5, 2e-3, 3e-3};
  constexpr double kItems[] = {5e-5, 3e-3, 4e-3, 4e-2};
  return {.items = kItems[std::min(epoch, 3)], .param_l2 = 1e-5, .ema_l2 = 3e-4, .samples = kSamples[std::min(epoch, 2)],
          .val_loss = kValLoss[std::min(epoch, 2)], .map = 0.002, .precision = 0.02, .recall = 0.02};
}

}  // namespace valbench::test
