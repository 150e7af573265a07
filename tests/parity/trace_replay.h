/// \file
/// Replays a golden training trace: the same images, the same order, our TrainStep and Evaluator.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/yolo_dataset.h"
#include "detect/detection_model.h"
#include "tests/support/golden_json.h"
#include "train/train_step.h"
#include "validate/partial_score.h"

namespace valbench::test {

/// Tolerances of the golden page for one step or epoch; 0 = not comparable.
struct TraceTolerance {
  double loss = 0, items = 0, gradient_norm = 0;           // per step, relative
  double param_l2 = 0, ema_l2 = 0;                          // relative
  double samples = 0;                                       // absolute
  double val_loss = 0, map = 0, precision = 0, recall = 0;  // per epoch; losses relative, the others absolute
};
TraceTolerance step_tolerance(const nlohmann::json& trace, int step, int epoch);
TraceTolerance epoch_tolerance(const nlohmann::json& trace, int epoch);

/// The model of a trace at its start: formula or weights.
std::unique_ptr<DetectionModel> trace_model(const nlohmann::json& trace);

/// A replay in progress.
class TraceReplay {
 public:
  explicit TraceReplay(const nlohmann::json& trace);
  Batch batch(const nlohmann::json& step) const;
  TrainStep& step() { return *step_; }
  DetectionModel& model() { return *model_; }
  /// Validates a flat EMA state as v7.0 does in training, or as its closing validation of best.pt (fp16-rounded, fused).
  ValidationRecord validate(const at::Tensor& state, bool closing, PartialScore* score = nullptr) const;
  /// Value of a named entry of the trained model, or of a flat state in flat_state_layout order.
  double model_value(const std::string& name, std::int64_t index) const;
  double flat_value(const at::Tensor& flat, const std::string& name, std::int64_t index) const;
  /// L2 over the entries of a kind set: parameters, running statistics or all floating state.
  enum class Part { parameters, running, floating };
  double l2(const at::Tensor& flat, Part part) const;

 private:
  YoloDataset subset(Split split, const nlohmann::json& names) const;

  nlohmann::json trace_;
  RunSpec spec_;
  std::shared_ptr<const YoloDataset> train_set_, val_set_;
  std::unique_ptr<Communicator> communicator_;
  mutable Tracer tracer_;
  std::unique_ptr<DetectionModel> model_;
  std::unique_ptr<TrainStep> step_;
};

}  // namespace valbench::test
