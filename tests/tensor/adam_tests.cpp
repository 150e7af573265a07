// Adam, AdamW and frozen layers against our own computation in float64.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "detect/detection_model.h"
#include "tests/support/catch.h"
#include "train/optimizer.h"

using namespace valbench;
using Catch::Contains;

namespace {

constexpr double kDecay = 5e-4, kBeta1 = 0.937;
constexpr double kTolerance = 1e-6;  // Of weights up to 1: eight roundings of float32.
const StepRates kRates{.lr = {0.02, 0.01, 0.005}, .momentum = 0.8};

at::Tensor random_gradient(const at::Tensor& like, std::uint64_t seed) {
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::rand(like.sizes(), random, like.options()) - 0.5;
}

/// torch.optim's formulas for one group in float64.
struct PlainOptimizer {
  OptimizerKind kind;
  at::Tensor parameter, mean, square;
  int steps = 0;

  void step(const at::Tensor& gradient, double lr, double decay) {
    ++steps;
    at::Tensor g = gradient.to(at::kDouble);
    if (kind == OptimizerKind::adamw) parameter = parameter * (1 - lr * decay);
    if (kind != OptimizerKind::adamw) g = g + decay * parameter;
    if (kind == OptimizerKind::sgd) {
      mean = steps == 1 ? g.clone() : kRates.momentum * mean + g;
      parameter = parameter - lr * (g + kRates.momentum * mean);
      return;
    }
    mean = steps == 1 ? (1 - kBeta1) * g : kBeta1 * mean + (1 - kBeta1) * g;
    square = steps == 1 ? 0.001 * g * g : 0.999 * square + 0.001 * g * g;
    const at::Tensor corrected = mean / (1 - std::pow(kBeta1, steps));
    parameter = parameter - lr * corrected / ((square / (1 - std::pow(0.999, steps))).sqrt() + 1e-8);
  }
};

at::Tensor part_of(const at::Tensor& flat, const ParameterSegment& group) { return flat.narrow(0, group.offset, group.elements); }

/// Largest deviation of any weight from the plain formulas after some steps; frozen layers must not move at all.
double deviation_from_formulas(OptimizerKind kind, const std::vector<int>& freeze) {
  const c10::NoGradGuard no_gradients;
  const auto model = make_yolov5("yolov5n", 3, 0);
  ParameterStore store(*model, freeze);
  const at::Tensor before = store.parameters().clone();
  const auto optimizer = make_optimizer(kind, store, kDecay, kBeta1);
  std::array<PlainOptimizer, 3> plain;
  for (std::size_t g = 0; g < 3; ++g) plain[g] = {kind, part_of(before, store.groups()[g]).to(at::kDouble), {}, {}};
  for (std::uint64_t s = 0; s < 6; ++s) {
    store.gradients().copy_(random_gradient(store.gradients(), s));
    for (std::size_t g = 0; g < 3; ++g) {
      plain[g].step(part_of(store.gradients(), store.groups()[g]), kRates.lr[g], g == 1 ? kDecay : 0);
    }
    optimizer->step(kRates, std::nullopt);
  }
  at::Tensor expected = before.to(at::kDouble);
  for (std::size_t g = 0; g < 3; ++g) part_of(expected, store.groups()[g]).copy_(plain[g].parameter);
  at::Tensor trains = at::zeros_like(before, before.options().dtype(at::kBool)), frozen = trains.clone();
  // The gaps between entries are neither: the random gradient reaches them too.
  for (const StateSlice& slice : flat_state_layout(model->state())) {
    if (model->state()[slice.entry].trainable()) frozen.narrow(0, slice.offset, slice.elements).fill_(true);
  }
  for (const StateSlice& slice : store.slices()) {
    trains.narrow(0, slice.offset, slice.elements).fill_(true);
    frozen.narrow(0, slice.offset, slice.elements).fill_(false);
  }
  CHECK(frozen.any().item<bool>() == !freeze.empty());
  CHECK(at::equal(store.parameters().masked_select(frozen), before.masked_select(frozen)));
  CHECK(store.parameters().masked_select(trains).ne(before.masked_select(trains)).all().item<bool>());
  return (store.parameters().to(at::kDouble) - expected).masked_select(trains).abs().max().item<double>();
}

}  // namespace

TEST_CASE("SGD, Adam and AdamW follow torch's formulas, with frozen layers and without") {
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::adamw}) {
    for (const std::vector<int>& freeze : {std::vector<int>{}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {3, 24}}) {
      const double deviation = deviation_from_formulas(kind, freeze);
      std::printf("%s, %zu layers frozen: largest deviation %.2g, tolerance %.0g\n", to_string(kind).c_str(), freeze.size(), deviation,
                  kTolerance);
      CHECK(deviation <= kTolerance);
    }
  }
}

TEST_CASE("a step that overflows is none: weights, moments and the count of steps stay") {
  const c10::NoGradGuard no_gradients;
  for (const OptimizerKind kind : {OptimizerKind::adam, OptimizerKind::adamw}) {
    const auto model = make_yolov5("yolov5n", 3, 0);
    ParameterStore store(*model);
    const auto optimizer = make_optimizer(kind, store, kDecay, kBeta1);
    store.gradients().copy_(random_gradient(store.gradients(), 1));
    optimizer->step(kRates, at::zeros({}));
    const at::Tensor weights = store.parameters().clone(), mean = optimizer->state().tensors[0].second.clone();
    store.gradients().fill_(INFINITY);
    optimizer->step(kRates, at::ones({}));
    CHECK(at::equal(store.parameters(), weights));
    CHECK(at::equal(optimizer->state().tensors[0].second, mean));
    CHECK(optimizer->state().steps == 1);
  }
}

TEST_CASE("an optimizer goes on from its saved state as if it had never stopped") {
  const c10::NoGradGuard no_gradients;
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::adamw}) {
    const auto model = make_yolov5("yolov5n", 3, 0), resumed_model = make_yolov5("yolov5n", 3, 1);
    ParameterStore store(*model), resumed_store(*resumed_model);
    const auto optimizer = make_optimizer(kind, store, kDecay, kBeta1), resumed = make_optimizer(kind, resumed_store, kDecay, kBeta1);
    const auto step = [&](Optimizer& o, ParameterStore& s, std::uint64_t seed) {
      s.gradients().copy_(random_gradient(s.gradients(), seed));
      o.step(kRates, std::nullopt);
    };
    step(*optimizer, store, 1);
    step(*optimizer, store, 2);
    resumed_store.parameters().copy_(store.parameters());
    resumed->load(optimizer->state());
    step(*optimizer, store, 3);
    step(*resumed, resumed_store, 3);
    CHECK(at::equal(store.parameters(), resumed_store.parameters()));
  }
}

TEST_CASE("the state of one optimizer is refused by another") {
  const auto model = make_yolov5("yolov5n", 3, 0);
  ParameterStore store(*model);
  const auto sgd = make_optimizer(OptimizerKind::sgd, store, kDecay, kBeta1), adam = make_optimizer(OptimizerKind::adam, store, kDecay, kBeta1);
  CHECK_THROWS_WITH(adam->load(sgd->state()), Contains("no exp_avg"));
}

TEST_CASE("frozen layers get no gradient, their running statistics move on") {
  const auto model = make_yolov5("yolov5n", 3, 0);
  ParameterStore store(*model, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  const at::Tensor buffers = store.buffers().clone();
  at::Tensor sum;
  for (const at::Tensor& level : model->forward(random_gradient(at::empty({2, 3, 64, 64}), 1), /*training=*/true)) {
    sum = sum.defined() ? sum + level.square().mean() : level.square().mean();
  }
  sum.backward();
  std::size_t trained = 0;
  for (const StateEntry& entry : model->state()) {
    if (!entry.trainable()) continue;
    INFO(entry.name);
    const int layer = std::stoi(entry.name.substr(6));
    CHECK(entry.tensor.grad().defined() == (layer > 9));
    trained += layer > 9 ? 1 : 0;
    if (entry.name == "model.24.m.0.bias") CHECK(entry.tensor.grad().abs().sum().item<double>() > 0);
  }
  CHECK(store.slices().size() == trained);
  for (const StateEntry& entry : model->state()) {
    if (entry.name == "model.0.bn.running_var") CHECK((entry.tensor != 0.9).any().item<bool>());
  }
}

TEST_CASE("a layer to freeze that the model does not have is refused with the allowed range, and so is freezing all") {
  const auto model = make_yolov5("yolov5n", 3, 0);
  CHECK_THROWS_WITH(ParameterStore(*model, {25}), Contains("no layer 25") && Contains("0 to 24"));
  std::vector<int> all;
  for (int layer = 0; layer <= 24; ++layer) all.push_back(layer);
  CHECK_THROWS_WITH(ParameterStore(*model, all), Contains("nothing of yolov5n is left to train"));
}
