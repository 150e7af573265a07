// A training's state through a checkpoint and back, and from the numbers that torch's optimizers count by.
#include "train/training_state.h"

#include <ATen/ATen.h>

#include "detect/state_layout.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "trace/tracer.h"
#include "train/checkpoint.h"
#include "train/resume.h"

using namespace valbench;
using valbench::test::ScratchFolder;

namespace {

struct Training {
  explicit Training(OptimizerKind optimizer, std::uint64_t seed) : communicator(make_single_communicator()), model(make_yolov5("yolov5n", 2, seed)) {
    spec.optimizer = optimizer;
    step = std::make_unique<TrainStep>(spec, *model, *communicator, tracer, 7, c10::Device(c10::DeviceType::CPU));
  }
  RunSpec spec;
  std::unique_ptr<Communicator> communicator;
  Tracer tracer;
  std::unique_ptr<DetectionModel> model;
  std::unique_ptr<TrainStep> step;
};

/// Fills the optimizer's memory: parameter i of the flat buffer gets `scale` times i.
OptimizerState counted(TrainStep& step, double steps) {
  OptimizerState state{{}, steps};
  double scale = 1;
  for (const auto& [name, tensor] : step.optimizer().state().tensors) {
    state.tensors.emplace_back(name, at::arange(tensor.numel(), at::kFloat) * scale);
    scale *= 0.5;
  }
  return state;
}

/// Entry by entry: what lies between entries is not part of a state.
bool equal_entries(const at::Tensor& a, const at::Tensor& b, const DetectionModel& model) {
  for (const StateSlice& slice : flat_state_layout(model.state())) {
    if (slice.offset + slice.elements > a.numel()) continue;
    if (!at::equal(a.narrow(0, slice.offset, slice.elements), b.narrow(0, slice.offset, slice.elements))) return false;
  }
  return a.numel() == b.numel();
}

}  // namespace

TEST_CASE("weights, EMA, optimizer, schedule, scaler and the loop's progress come back from a checkpoint bit for bit") {
  const auto kind = GENERATE(OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::adamw);
  Training before(kind, 1);
  before.step->optimizer().load(counted(*before.step, 41));
  const at::Tensor ema = at::rand_like(before.step->ema_state());
  const StepProgress progress{7, 189, 660, {{0.1, 0.02, 0.003}, 0.91, 3}, 2048, 1234};
  before.step->restore(progress, ema);
  const LoopProgress loop{6, 0.25, {4, 0.25, true}, {0.125, 0.5}, 4};
  SafetensorsFile content = checkpoint_content(*before.model, before.step->ema_state(), {6, 0.2, {"a", "b"}});
  add_training_state(before.spec, *before.step, loop, content);
  const ScratchFolder folder;
  const auto file = folder.path() / "last.safetensors";
  write_safetensors(file, content);

  const RunSpec fresh = before.spec;
  Training after(kind, 2);
  after.spec = fresh;
  after.spec.resume = file, after.spec.resume_exact = true;
  const auto from = load_resumed(after.spec, *after.model);
  REQUIRE(from);
  CHECK(from->facts.optimizer == to_string(kind));
  CHECK(from->loop.epoch == 6);
  CHECK(from->loop.best_fitness == 0.25);
  CHECK(from->loop.best_epoch == 4);
  CHECK(from->loop.stopping.best_epoch == 4);
  CHECK(from->loop.stopping.possible_stop);
  CHECK(from->loop.class_map == loop.class_map);
  restore_step(after.spec, *from, *after.step);
  CHECK(equal_entries(after.step->model_state(), before.step->model_state(), *after.model));
  CHECK(equal_entries(after.step->ema_state(), before.step->ema_state(), *after.model));
  const OptimizerState was = before.step->optimizer().state(), is = after.step->optimizer().state();
  REQUIRE(is.tensors.size() == was.tensors.size());
  for (std::size_t i = 0; i < is.tensors.size(); ++i) CHECK(equal_entries(is.tensors[i].second, was.tensors[i].second, *after.model));
  CHECK(is.steps == was.steps);
  const StepProgress now = after.step->progress();
  CHECK(now.batches_per_epoch == 7);
  CHECK(now.ema_updates == 189);
  CHECK(now.last_step == 660);
  CHECK(now.rates.lr == progress.rates.lr);
  CHECK(now.rates.momentum == 0.91);
  CHECK(now.rates.accumulate == 3);
  CHECK(now.loss_scale == 2048);
  CHECK(now.good_steps == 1234);

  // As YOLOv5 resumes: in fp16, with a new scaler and a new accumulation.
  after.spec.resume_exact = false;
  Training rounded(kind, 3);
  const auto half = load_resumed(after.spec, *rounded.model);
  restore_step(after.spec, *half, *rounded.step);
  CHECK(equal_entries(rounded.step->ema_state(), ema.to(at::kHalf).to(at::kFloat), *rounded.model));
  CHECK(rounded.step->progress().ema_updates == 189);
  CHECK(rounded.step->progress().last_step == -1);
  CHECK(rounded.step->progress().loss_scale == 65536);

  remove_training_state(content);
  CHECK(content.tensors.size() == before.model->state().size());
  write_safetensors(file, content);
  CHECK_THROWS_WITH(load_resumed(after.spec, *after.model), Catch::Contains("holds weights without optimizer state"));
}

TEST_CASE("moments that torch numbers through YOLOv5's groups find their parameters, and Adam its count of steps") {
  Training training(OptimizerKind::adam, 1);
  using Kind = StateEntry::Kind;
  TrainingState from;
  from.facts.file = "last.pt";
  from.optimizer_steps = 6;
  for (const StateEntry& entry : training.model->state()) from.ema.emplace_back(entry.name, entry.tensor.detach());
  PtOptimizer& numbered = from.numbered.emplace();
  std::int64_t number = 0;
  for (const Kind kind : {Kind::bias, Kind::weight, Kind::norm_weight}) {
    auto& group = numbered.groups.emplace_back();
    for (const StateEntry& entry : training.model->state()) {
      if (entry.kind != kind) continue;
      group.params.push_back(number);
      numbered.state[number]["exp_avg"] = at::full_like(entry.tensor, static_cast<double>(number)).detach();
      numbered.state[number]["exp_avg_sq"] = at::full_like(entry.tensor, static_cast<double>(number) / 2).detach();
      ++number;
    }
  }
  numbered.state.erase(3);  // Never had a gradient.
  restore_step(training.spec, from, *training.step);
  const OptimizerState state = training.step->optimizer().state();
  CHECK(state.steps == 6);
  number = 0;
  for (const Kind kind : {Kind::bias, Kind::weight, Kind::norm_weight}) {
    for (const StateSlice& slice : flat_state_layout(training.model->state())) {
      if (training.model->state()[slice.entry].kind != kind) continue;
      const double expected = number == 3 ? 0 : static_cast<double>(number);
      CHECK(state.tensors[0].second.narrow(0, slice.offset, slice.elements).eq(expected).all().item<bool>());
      CHECK(state.tensors[1].second.narrow(0, slice.offset, slice.elements).eq(expected / 2).all().item<bool>());
      ++number;
    }
  }
  numbered.groups[0].params.push_back(number);
  CHECK_THROWS_WITH(restore_step(training.spec, from, *training.step), Catch::Contains("its optimizer has 178 parameters, and yolov5n has 177"));
}
