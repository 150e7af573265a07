// Flat buffers, SGD, clipping, gradient scaling, EMA and the gradient buckets, against torch's own formulas.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "comm/communicator.h"
#include "detect/detection_model.h"
#include "tests/support/catch.h"
#include "train/ema.h"
#include "train/gradient_sync.h"
#include "train/mixed_precision.h"
#include "train/parameter_store.h"
#include "train/sgd.h"

using namespace valbench;

namespace {

at::Tensor random_like(const at::Tensor& like, std::uint64_t seed) {
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::rand(like.sizes(), random, like.options()) - 0.5;
}

/// torch.optim.SGD with Nesterov momentum, one parameter group, in float64.
struct PlainSgd {
  at::Tensor parameter, momentum_buffer;
  void step(const at::Tensor& gradient, double lr, double momentum, double decay) {
    const at::Tensor g = gradient.to(at::kDouble) + decay * parameter;
    momentum_buffer = momentum_buffer.defined() ? momentum * momentum_buffer + g : g.clone();
    parameter = parameter - lr * (g + momentum * momentum_buffer);
  }
};

}  // namespace

TEST_CASE("the model's tensors and gradients are views of the flat buffers") {
  const auto model = make_yolov5("yolov5n", 3, 0);
  const auto untouched = model->clone();
  ParameterStore store(*model);
  CHECK(state_checksum(*model) == state_checksum(*untouched));
  const auto& groups = store.groups();
  // [weights | norm weights | biases]; YOLOv5n has 60 biases, 60 weights and 57 norm weights.
  CHECK(groups[1].offset == 0);
  CHECK(groups[2].offset == groups[1].elements);
  CHECK(groups[0].offset == groups[2].offset + groups[2].elements);
  CHECK(groups[0].offset + groups[0].elements == store.parameters().numel());
  CHECK(store.slices().size() == 177);
  for (const StateSlice& slice : store.slices()) {
    const at::Tensor& tensor = store.entry(slice);
    CHECK(tensor.const_data_ptr() == store.parameters().const_data_ptr<float>() + slice.offset);
    CHECK(tensor.grad().const_data_ptr() == store.gradients().const_data_ptr<float>() + slice.offset);
  }
  const std::vector<at::Tensor> raw = model->forward(at::ones({1, 3, 64, 64}), /*training=*/true);
  (raw[0].sum() + raw[1].sum() + raw[2].sum()).backward();
  CHECK(store.gradients().abs().sum().item<double>() > 0);
  const StateSlice& first = store.slices().front();
  CHECK(store.entry(first).grad().const_data_ptr() == store.gradients().const_data_ptr<float>() + first.offset);
  store.zero_gradients();
  CHECK(store.entry(first).grad().abs().sum().item<double>() == 0);
}

TEST_CASE("SGD follows torch's over five steps, decays weights only, and leaves out overflowed steps") {
  const c10::NoGradGuard no_gradients;
  const auto model = make_yolov5("yolov5n", 3, 0);
  ParameterStore store(*model);
  const double decay = 0.05;
  Sgd sgd(store, decay);
  const auto part = [&](const at::Tensor& flat, std::size_t g) {
    return flat.narrow(0, store.groups()[g].offset, store.groups()[g].elements);
  };
  std::array<PlainSgd, 3> plain;
  for (std::size_t g = 0; g < 3; ++g) plain[g].parameter = part(store.parameters(), g).to(at::kDouble);
  const at::Tensor good = at::zeros({}), overflow = at::ones({});
  for (std::uint64_t step = 0; step < 5; ++step) {
    const StepRates rates{.lr = {0.1, 0.01, 0.02}, .momentum = 0.8 + 0.02 * static_cast<double>(step)};
    at::Tensor(store.gradients()).copy_(random_like(store.gradients(), step));
    for (std::size_t g = 0; g < 3; ++g) plain[g].step(part(store.gradients(), g), rates.lr[g], rates.momentum, g == 1 ? decay : 0);
    sgd.step(rates, step % 2 == 0 ? std::nullopt : std::optional<at::Tensor>(good));
    const at::Tensor before = store.parameters().clone();
    sgd.step(rates, overflow);
    CHECK(store.parameters().equal(before));
  }
  for (std::size_t g = 0; g < 3; ++g) {
    // Relative where values exceed 1: Detect's biases are about -7, where one float32 step alone is 5e-7.
    const at::Tensor difference = (part(store.parameters(), g) - plain[g].parameter).abs() / plain[g].parameter.abs().clamp_min(1.0);
    const double deviation = difference.max().item<double>();
    std::printf("SGD group %zu: largest deviation %.3g (values up to %.3g), tolerance 3e-07\n", g, deviation,
                plain[g].parameter.abs().max().item<double>());
    CHECK(deviation <= 3e-7);  // Five steps of one rounding, 6e-8 each.
  }
}

TEST_CASE("clipping scales to the largest norm and leaves smaller gradients alone") {
  const at::Tensor small = at::full({4}, 2.0f), large = at::full({100}, 3.0f);
  CHECK(clip_gradient_norm(small, 10).item<double>() == Approx(4.0));
  CHECK(small.eq(2.0).all().item<bool>());
  CHECK(clip_gradient_norm(large, 10).item<double>() == Approx(30.0));
  CHECK(large.norm().item<double>() == Approx(10.0));
}

TEST_CASE("the gradient scaler unscales, finds overflow, halves the scale and doubles it after 2000 good steps") {
  GradientScaler scaler(at::kCPU);
  const at::Tensor one = at::ones({});
  const auto scale = [&] { return scaler.scale(one).item<double>(); };
  CHECK(scale() == 65536);
  at::Tensor gradients = at::full({8}, 65536.0f);
  scaler.unscale(gradients);
  CHECK(gradients.eq(1.0).all().item<bool>());
  CHECK(scaler.found_inf().item<double>() == 0);
  scaler.update();
  gradients[3] = std::numeric_limits<float>::infinity();
  scaler.unscale(gradients);
  CHECK(scaler.found_inf().item<double>() == 1);
  scaler.update();
  CHECK(scale() == 32768);
  for (int step = 0; step < 2000; ++step) {
    CHECK(scale() == 32768);
    gradients.fill_(1.0f);
    scaler.unscale(gradients);
    scaler.update();
  }
  CHECK(scale() == 65536);
}

TEST_CASE("the EMA follows its formula and owns its memory") {
  const at::Tensor state = random_like(at::empty({1000}), 1);
  Ema ema(state);
  at::Tensor expected = state.to(at::kDouble);
  for (std::int64_t update = 1; update <= 50; ++update) {
    state.copy_(random_like(state, static_cast<std::uint64_t>(update)));
    ema.update(state);
    const double decay = 0.9999 * (1 - std::exp(-static_cast<double>(update) / 2000));
    expected = decay * expected + (1 - decay) * state.to(at::kDouble);
  }
  CHECK(ema.updates() == 50);
  CHECK((ema.state() - expected).abs().max().item<double>() <= 1e-7);
}

TEST_CASE("gradient buckets cover every element once, weights in reverse order, the rest last") {
  const auto model = make_yolov5("yolov5n", 3, 0);
  const ParameterStore store(*model);
  const auto buckets = plan_gradient_buckets(store, 1 << 18, 1 << 20);
  REQUIRE(buckets.size() > 3);
  std::int64_t end = store.groups()[1].elements;
  std::vector<int> seen(store.slices().size(), 0);
  for (std::size_t b = 0; b + 1 < buckets.size(); ++b) {
    CHECK(buckets[b].offset + buckets[b].elements == end);
    end = buckets[b].offset;
  }
  CHECK(end == 0);
  CHECK(buckets.back().offset == store.groups()[1].elements);
  CHECK(buckets.back().offset + buckets.back().elements == store.parameters().numel());
  for (const GradientBucket& bucket : buckets) {
    std::int64_t elements = 0;
    for (const std::size_t slice : bucket.slices) {
      ++seen[slice];
      elements += aligned_end(store.slices()[slice]) - store.slices()[slice].offset;
    }
    CHECK(elements == bucket.elements);
  }
  CHECK(seen == std::vector<int>(seen.size(), 1));
}

TEST_CASE("one rank alone: every collective is the identity") {
  const auto communicator = make_single_communicator();
  const at::Tensor tensor = at::ones({3});
  communicator->all_reduce_sum(tensor)->wait();
  communicator->broadcast(tensor, 0);
  communicator->barrier();
  CHECK(tensor.eq(1.0).all().item<bool>());
  const std::vector<std::byte> bytes{std::byte{1}, std::byte{2}};
  CHECK((communicator->gather_bytes(bytes, 0) == std::vector<std::vector<std::byte>>{bytes}));
  CHECK((communicator->broadcast_bytes(bytes, 0) == bytes));
  CHECK(communicator->take_events().empty());
}
