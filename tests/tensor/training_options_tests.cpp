// Options of the training loop that need no data set: early stopping, which checkpoints an epoch leaves, multi-scale, quad, determinism.
#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "comm/communicator.h"
#include "tests/support/catch.h"
#include "train/checkpoint_plan.h"
#include "train/deterministic.h"
#include "train/early_stopping.h"
#include "train/multi_scale.h"
#include "train/train_step.h"

using namespace valbench;

namespace {

RunSpec small_spec() {
  RunSpec spec;
  spec.imgsz = 64;
  spec.batch_size = 4;
  spec.epochs = 2;
  return spec;
}

/// What a short training leaves.
struct Trained {
  at::Tensor state, ema;
  double gradient_norm = 0;  ///< Of the first step.
};

Trained train(const RunSpec& spec, int batches) {
  use_deterministic_algorithms(spec.deterministic);
  const auto communicator = make_single_communicator();
  const auto model = make_yolov5("yolov5n", 3, spec.seed);
  Tracer tracer;
  TrainStep step(spec, *model, *communicator, tracer, batches, c10::Device(c10::DeviceType::CPU));
  step.begin_epoch(0);
  Trained trained;
  for (int index = 0; index < batches; ++index) {
    at::Generator random = at::make_generator<at::CPUGeneratorImpl>(static_cast<std::uint64_t>(index));
    Batch batch;
    batch.images = at::randint(256, {4, 3, 64, 64}, random, at::TensorOptions(at::kByte));
    batch.targets = at::rand({6, 6}, random);
    batch.targets.select(1, 0).mul_(4).floor_();
    batch.targets.select(1, 1).mul_(3).floor_();
    batch.targets.slice(1, 4).mul_(0.5).add_(0.1);
    const StepReport report = step.run(batch, index);
    if (index == 0) trained.gradient_norm = report.gradient_norm.item<double>();
  }
  trained.state = step.model_state().clone();
  trained.ema = step.ema_state().clone();
  use_deterministic_algorithms(false);
  return trained;
}

}  // namespace

TEST_CASE("in v7.0 a tie counts as an improvement, in HEAD it does not") {
  EarlyStopping v7(2, Compat::v7_0), head(2, Compat::head);
  CHECK_FALSE(v7.update(0, 0.0));
  CHECK_FALSE(head.update(0, 0.0));  // Better than -1.
  CHECK(head.best_epoch() == 0);
  CHECK_FALSE(v7.update(1, 0.0));
  CHECK_FALSE(head.update(1, 0.0));
  CHECK_FALSE(v7.possible_stop());
  CHECK(head.possible_stop());
  CHECK_FALSE(v7.update(2, 0.0));
  CHECK(v7.best_epoch() == 2);
  CHECK(head.update(2, 0.0));
}

TEST_CASE("every epoch leaves last, the best so far best, and every save_period-th its own file") {
  RunSpec spec;
  spec.save_period = 3;
  for (int epoch = 0; epoch < 7; ++epoch) {
    const CheckpointPlan plan = plan_checkpoints(spec, epoch, epoch == 6, epoch == 2);
    CHECK(plan.last);
    CHECK(plan.best == (epoch == 2));
    CHECK(plan.numbered == (epoch == 0 || epoch == 3 || epoch == 6));
  }
  spec.save_period = -1;
  CHECK_FALSE(plan_checkpoints(spec, 0, false, false).numbered);
}

TEST_CASE("with nosave only the final epoch leaves checkpoints, and none without save_checkpoints") {
  RunSpec spec;
  spec.nosave = true;
  CHECK_FALSE(plan_checkpoints(spec, 1, false, true).last);
  CHECK_FALSE(plan_checkpoints(spec, 1, false, true).best);
  CHECK(plan_checkpoints(spec, 1, true, true).last);
  CHECK(plan_checkpoints(spec, 1, true, true).best);
  spec.save_checkpoints = false;
  CHECK_FALSE(plan_checkpoints(spec, 1, true, true).last);
}

TEST_CASE("multi-scale draws multiples of the stride from half to one and a half times the image size, the same every time") {
  std::set<int> sizes;
  for (std::int64_t batch = 0; batch < 400; ++batch) {
    const int size = draw_batch_size(7, 0, 1, batch, 96, 32);
    CHECK(size == draw_batch_size(7, 0, 1, batch, 96, 32));
    sizes.insert(size);
  }
  // randrange(48, 176) // 32 * 32
  CHECK(sizes == std::set<int>{32, 64, 96, 128, 160});
  int differ = 0;
  for (std::int64_t batch = 0; batch < 20; ++batch) differ += draw_batch_size(7, 1, 1, batch, 96, 32) != draw_batch_size(7, 0, 1, batch, 96, 32);
  CHECK(differ > 0);
}

TEST_CASE("a batch is resized to the drawn longer side, both sides to multiples of the stride, bilinear without aligned corners") {
  const at::Tensor columns = at::arange(32, at::kFloat).expand({1, 1, 64, 32}).contiguous();
  CHECK(resize_batch(columns, 96, 32).sizes().vec() == std::vector<std::int64_t>{1, 1, 96, 64});  // 32 * 1.5 = 48 -> 64
  CHECK(at::equal(resize_batch(columns, 64, 32), columns));
  const at::Tensor twice = resize_batch(columns, 128, 32)[0][0][5];
  for (const std::int64_t x : {0, 1, 2, 31, 62, 63}) {
    CHECK(twice[x].item<double>() == Approx(std::clamp((static_cast<double>(x) + 0.5) / 2 - 0.5, 0.0, 31.0)));
  }
}

TEST_CASE("a quad batch's loss counts four times") {
  RunSpec spec = small_spec();
  const Trained plain = train(spec, 1);
  spec.quad = true;
  const Trained quad = train(spec, 1);
  CHECK(quad.gradient_norm == Approx(4 * plain.gradient_norm).epsilon(1e-4));
}

TEST_CASE("two trainings of one spec are equal bit for bit, whatever the options") {
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::adamw}) {
    RunSpec spec = small_spec();
    spec.optimizer = kind;
    spec.multi_scale = true;
    spec.freeze = {0, 1};
    spec.deterministic = true;
    const Trained first = train(spec, 3), second = train(spec, 3);
    CHECK(at::equal(first.state, second.state));
    CHECK(at::equal(first.ema, second.ema));
    spec.seed = 1;
    CHECK_FALSE(at::equal(train(spec, 3).state, first.state));
  }
}
