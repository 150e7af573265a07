// golden/yolov5n_bccd.pt and yolov5n_bccd_epoch50.pt: checkpoints that YOLOv5 v7.0 itself wrote.
#include <ATen/ATen.h>

#include <cstdio>

#include "detect/detection_model.h"
#include "detect/weights/model_weights.h"
#include "tests/support/golden_json.h"
#include "tests/support/golden_state.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

double l2(const std::vector<at::Tensor>& tensors) {
  double sum = 0;
  for (const at::Tensor& tensor : tensors) sum += tensor.to(at::kDouble).square().sum().item<double>();
  return std::sqrt(sum);
}

/// The trainable entries, by the model's own knowledge of which those are.
std::vector<at::Tensor> parameters(const NamedTensors& state, const DetectionModel& model) {
  std::vector<at::Tensor> out;
  for (std::size_t i = 0; i < state.size(); ++i) {
    REQUIRE(state[i].first == model.state()[i].name);
    if (model.state()[i].trainable()) out.push_back(state[i].second);
  }
  return out;
}

}  // namespace

TEST_CASE("a stripped YOLOv5 checkpoint holds the same bits as the plain state beside it") {
  const auto file = golden_folder() / "yolov5n_bccd.pt";
  if (!std::filesystem::exists(file)) VB_SKIP("needs " + file.string() + "; VALBENCH_GOLDEN names another folder");
  const PtCheckpoint read = read_pt_checkpoint(file);
  const auto plain = read_golden_state(golden_folder() / "yolov5n_bccd_state.json");
  REQUIRE(read.model.size() == plain.size());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    INFO(plain[i].first);
    CHECK(read.model[i].first == plain[i].first);
    REQUIRE(read.model[i].second.scalar_type() == plain[i].second.scalar_type());
    REQUIRE(read.model[i].second.sizes() == plain[i].second.sizes());
    // As bytes: NaNs and signed zeros count too.
    const at::Tensor ours = read.model[i].second.contiguous();
    CHECK(std::memcmp(ours.const_data_ptr(), plain[i].second.const_data_ptr(), plain[i].second.nbytes()) == 0);
    bytes += plain[i].second.nbytes();
  }
  CHECK(read.epoch == -1);
  CHECK_FALSE(read.optimizer.has_value());
  CHECK(read.ema.empty());
  CHECK(read.class_names == std::vector<std::string>{"RBC", "WBC", "Platelets"});
  const ModelWeights weights = read_model_weights(file);
  CHECK(weights.model_name == "yolov5n");
  CHECK(weights.classes == 3);
  CHECK(weights.yaml["depth_multiple"] == 0.33);
  std::printf("yolov5n_bccd.pt: %zu entries, %zu bytes: largest deviation 0, tolerance 0\n", plain.size(), bytes);
}

TEST_CASE("a checkpoint of epoch 50 gives up its model, EMA, optimizer state and options") {
  const auto golden_file = golden_folder() / "checkpoint_epoch50.json";
  if (!std::filesystem::exists(golden_file)) VB_SKIP("needs " + golden_file.string() + "; VALBENCH_GOLDEN names another folder");
  const json golden = read_json(golden_file);
  const PtCheckpoint read = read_pt_checkpoint(golden_folder() / golden["file"].get<std::string>());
  const auto model = make_yolov5("yolov5n", static_cast<int>(read.class_names.size()), 0);
  Deviations d;
  CHECK(read.epoch == golden["epoch"]);
  CHECK(read.updates == golden["ema_updates"]);
  d.add("best fitness", read.best_fitness.value_or(-1), golden["best_fitness"], 0, 1e-9);
  REQUIRE(read.model.size() == model->state().size());
  REQUIRE(read.ema.size() == model->state().size());
  // The page's norms have ten digits.
  d.add("parameter L2", l2(parameters(read.model, *model)), golden["model_param_l2"], 0, 1e-9);
  d.add("parameter L2", l2(parameters(read.ema, *model)), golden["ema_param_l2"], 0, 1e-9);
  for (const auto& [name, tensor] : read.model) {
    if (name.ends_with("num_batches_tracked")) CHECK(tensor.item<std::int64_t>() == golden["num_batches_tracked"].get<std::int64_t>());
  }
  REQUIRE(read.optimizer.has_value());
  REQUIRE(read.optimizer->groups.size() == golden["param_groups"].size());
  for (std::size_t g = 0; g < read.optimizer->groups.size(); ++g) {
    const PtOptimizer::Group& ours = read.optimizer->groups[g];
    const json& theirs = golden["param_groups"][g];
    CHECK(ours.params == theirs["params"].get<std::vector<std::int64_t>>());
    d.add("rates of the groups", ours.lr, theirs["lr"], 0, 1e-9);
    d.add("rates of the groups", ours.initial_lr, theirs["initial_lr"], 0, 1e-9);
    d.add("rates of the groups", ours.momentum, theirs["momentum"], 0, 1e-9);
    d.add("rates of the groups", ours.weight_decay, theirs["weight_decay"], 0, 1e-9);
  }
  REQUIRE(read.optimizer->state.size() == golden["state_entries"].get<std::size_t>());
  std::vector<at::Tensor> momentum;
  for (const auto& [number, tensors] : read.optimizer->state) momentum.push_back(tensors.at("momentum_buffer"));
  d.add("momentum L2", l2(momentum), golden["momentum_buffer_l2"], 0, 1e-9);
  for (std::size_t i = 0; i < golden["momentum_buffer_shapes_first5"].size(); ++i) {
    CHECK(momentum[i].sizes().vec() == golden["momentum_buffer_shapes_first5"][i].get<std::vector<std::int64_t>>());
  }
  for (const json& s : golden["momentum_buffer_samples"]) {
    d.add("momentum samples", momentum.at(s[0].get<std::size_t>()).flatten()[s[1].get<std::int64_t>()].item<double>(), s[2], 0, 1e-9);
  }
  CHECK(read.opt["epochs"] == 100);
  CHECK(read.hyp["momentum"] == 0.937);
  d.print_and_check(golden["file"].get<std::string>());
}
