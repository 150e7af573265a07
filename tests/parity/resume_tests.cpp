// A training of YOLOv5 v7.0 taken up from golden/yolov5n_bccd_epoch50.pt, against what checkpoint_epoch50.json says is in it.
#include <ATen/ATen.h>

#include "detect/state_layout.h"
#include "tests/support/deviation_report.h"
#include "tests/support/golden_json.h"
#include "trace/tracer.h"
#include "train/resume.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

double l2(const at::Tensor& flat) { return flat.to(at::kDouble).square().sum().sqrt().item<double>(); }

/// Names of the parameters in torch's numbering: biases, weights, norm weights, each in the order of the state dict.
std::vector<std::size_t> numbered(const DetectionModel& model) {
  using Kind = StateEntry::Kind;
  std::vector<std::size_t> entries;
  for (const Kind kind : {Kind::bias, Kind::weight, Kind::norm_weight}) {
    for (std::size_t i = 0; i < model.state().size(); ++i) {
      if (model.state()[i].kind == kind) entries.push_back(i);
    }
  }
  return entries;
}

/// Entry number `number` of a flat buffer.
at::Tensor entry_of(const at::Tensor& flat, const DetectionModel& model, std::size_t entry) {
  for (const StateSlice& slice : flat_state_layout(model.state())) {
    if (slice.entry == entry) return entry_view(flat, slice, model.state()[entry].tensor);
  }
  throw std::runtime_error("no such entry");
}

RunSpec spec_of(const json& golden) {
  RunSpec spec;
  spec.resume = golden_folder() / golden["file"].get<std::string>();
  spec.imgsz = 320, spec.batch_size = 16, spec.epochs = 100;
  return spec;
}

constexpr std::int64_t kBatches = 13;  // 205 images in batches of 16

struct Resumed {
  explicit Resumed(const json& golden)
      : spec(spec_of(golden)), communicator(make_single_communicator()), model(make_yolov5("yolov5n", 3, 1)) {
    from = load_resumed(spec, *model);
    step = std::make_unique<TrainStep>(spec, *model, *communicator, tracer, kBatches, c10::Device(c10::DeviceType::CPU));
    restore_step(spec, *from, *step);
  }
  RunSpec spec;
  std::unique_ptr<Communicator> communicator;
  Tracer tracer;
  std::unique_ptr<DetectionModel> model;
  std::optional<TrainingState> from;
  std::unique_ptr<TrainStep> step;
};

}  // namespace

TEST_CASE("a training resumed from YOLOv5's checkpoint has its weights, EMA, momentum, counts and learning rates") {
  const auto file = golden_folder() / "checkpoint_epoch50.json";
  if (!std::filesystem::exists(file)) VB_SKIP("needs " + file.string() + "; VALBENCH_GOLDEN names another folder");
  const json golden = read_json(file);
  Resumed resumed(golden);
  TrainStep& step = *resumed.step;
  const DetectionModel& model = *resumed.model;
  Deviations d;
  CHECK(resumed.from->loop.epoch + 1 == golden["epoch"].get<int>() + 1);
  CHECK(step.ema_updates() == golden["ema_updates"]);
  d.add("best fitness", resumed.from->loop.best_fitness, golden["best_fitness"], 0, 1e-9);
  // The page's norms have ten digits.
  d.add("parameter L2", l2(step.parameters()), golden["model_param_l2"], 0, 1e-9);
  d.add("EMA parameter L2", l2(step.ema_state().narrow(0, 0, step.parameters().numel())), golden["ema_param_l2"], 0, 1e-9);
  int tracked = 0;
  for (const StateEntry& entry : model.state()) {
    if (entry.kind != StateEntry::Kind::batches_tracked) continue;
    ++tracked;
    CHECK(entry.tensor.item<std::int64_t>() == golden["num_batches_tracked"].get<std::int64_t>());
  }
  CHECK(tracked > 0);

  const std::vector<std::size_t> entries = numbered(model);
  REQUIRE(entries.size() == golden["state_entries"].get<std::size_t>());
  const auto state = step.optimizer().state();
  const at::Tensor& momentum = state.tensors.at(0).second;
  d.add("momentum L2", l2(momentum), golden["momentum_buffer_l2"], 0, 1e-9);
  for (std::size_t i = 0; i < golden["momentum_buffer_shapes_first5"].size(); ++i) {
    CHECK(entry_of(momentum, model, entries[i]).sizes().vec() == golden["momentum_buffer_shapes_first5"][i].get<std::vector<std::int64_t>>());
  }
  for (const json& sample : golden["momentum_buffer_samples"]) {
    const at::Tensor entry = entry_of(momentum, model, entries.at(sample[0].get<std::size_t>()));
    d.add("momentum samples", entry.flatten()[sample[1].get<std::int64_t>()].item<double>(), sample[2], 0, 1e-9);
  }

  const std::array<double, 3> decays = {0, scaled_weight_decay(resumed.spec.hyp.weight_decay, resumed.spec.batch_size), 0};
  std::size_t parameters = 0;
  for (std::size_t g = 0; g < golden["param_groups"].size(); ++g) {
    const json& group = golden["param_groups"][g];
    d.add("rates of the groups", step.lr().at(g), group["lr"], 0, 1e-9);
    d.add("rates of the groups", step.progress().rates.momentum, group["momentum"], 0, 1e-9);
    d.add("rates of the groups", resumed.spec.hyp.lr0, group["initial_lr"], 0, 1e-9);
    d.add("rates of the groups", decays.at(g), group["weight_decay"], 0, 1e-12);
    CHECK(group["nesterov"] == true);  // What Sgd is.
    CHECK(group["dampening"] == 0);
    for (const json& number : group["params"]) CHECK(number == parameters++);
  }
  CHECK(parameters == entries.size());
  d.print_and_check("resume from " + golden["file"].get<std::string>());
}

TEST_CASE("the first epochs resumed from YOLOv5's checkpoint train with its learning rates, and begin with an optimizer step") {
  const auto file = golden_folder() / "checkpoint_epoch50.json";
  if (!std::filesystem::exists(file)) VB_SKIP("needs " + file.string() + "; VALBENCH_GOLDEN names another folder");
  const json golden = read_json(file);
  Resumed resumed(golden);
  TrainStep& step = *resumed.step;
  Deviations d;
  const Batch batch{at::full({2, 3, 64, 64}, 114, at::kByte), at::zeros({0, 6}), {}};
  step.begin_epoch(51);
  const StepReport first = step.run(batch, 0);
  CHECK(first.optimizer_step);  // No step was taken in this process: accumulation begins anew (§4.11).
  CHECK_FALSE(step.run(batch, 1).optimizer_step);
  CHECK(first.accumulate == 4);
  CHECK(step.ema_updates() == golden["ema_updates"].get<std::int64_t>() + 1);
  for (const double lr : first.lr) d.add("lr of epoch 51", lr, golden["param_groups"][0]["lr"], 0, 1e-9);
  d.add("momentum of epoch 51", first.momentum, golden["param_groups"][0]["momentum"], 0, 1e-9);
  step.end_epoch();
  step.begin_epoch(52);
  // §4.4: epoch e trains with lf(e - 1).
  for (const double lr : step.run(batch, 0).lr) d.add("lr of epoch 52", lr, 0.01 * ((1 - 51 / 100.0) * (1 - 0.01) + 0.01), 0, 1e-9);
  d.print_and_check("epochs resumed from " + golden["file"].get<std::string>());
}
