// What options change inside the network: max pooling of the deterministic mode, batch norm over all ranks.
#include <ATen/ATen.h>

#include <array>
#include <barrier>
#include <thread>

#include "base/error.h"
#include "detect/max_pool.h"
#include "detect/norm_sync.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

constexpr NormConstants kConstants{0.03, 1e-3};

at::Tensor random_tensor(at::IntArrayRef sizes, std::uint64_t seed) {
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::rand(sizes, random, at::TensorOptions(at::kFloat));
}

/// Adds up over two threads that stand for ranks.
class SumOverThreads {
 public:
  SumOverRanks of(std::size_t rank) {
    return [this, rank](const at::Tensor& tensor) {
      parts_[rank] = tensor.clone();
      meeting_.arrive_and_wait();
      const at::Tensor sum = parts_[0] + parts_[1];
      meeting_.arrive_and_wait();
      at::Tensor(tensor).copy_(sum);
    };
  }

 private:
  std::array<at::Tensor, 2> parts_;
  std::barrier<> meeting_{2};
};

/// One batch norm with its gradients.
struct Norm {
  at::Tensor x, weight, bias, mean = at::zeros({5}), variance = at::ones({5}), y;

  explicit Norm(const at::Tensor& input) : x(input.clone().requires_grad_()) {
    weight = (at::arange(5, at::kFloat) / 4 + 0.5).requires_grad_();
    bias = (at::arange(5, at::kFloat) / 3).requires_grad_();
  }
  void run(const at::Tensor& gradient) {
    y = batch_norm(x, weight, bias, mean, variance, /*training=*/true, kConstants);
    y.backward(gradient);
  }
};

void check_close(const char* what, const at::Tensor& a, const at::Tensor& b) {
  const double deviation = (a - b).abs().max().item<double>();
  INFO(what << ": largest deviation " << deviation << ", tolerance 1e-5");
  CHECK(deviation < 1e-5);
}

}  // namespace

TEST_CASE("deterministic max pooling has torch's values and gradients, ties included") {
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    // Few values make many ties; whole gradients make sums exact in any order.
    const at::Tensor x = (random_tensor({2, 3, 9, 7}, 1) * 3).floor().contiguous(format);
    const at::Tensor gradient = (random_tensor({2, 3, 9, 7}, 2) * 10).floor();
    at::Tensor a = x.clone().requires_grad_(), b = x.clone().requires_grad_();
    const at::Tensor ours = deterministic_max_pool(a, 5), torchs = at::max_pool2d(b, 5, 1, 2);
    CHECK(at::equal(ours, torchs));
    ours.backward(gradient);
    torchs.backward(gradient);
    CHECK(at::equal(a.grad(), b.grad()));
  }
}

TEST_CASE("batch norm over two ranks equals batch norm over their images together") {
  const at::Tensor x = random_tensor({6, 5, 4, 3}, 3) * 2 + 1, gradient = random_tensor({6, 5, 4, 3}, 4) - 0.5;
  Norm whole(x);
  whole.run(gradient);
  SumOverThreads sums;
  // Ranks with unequal batches: the last batch of an epoch may be short.
  std::array<Norm, 2> ranks{Norm(x.narrow(0, 0, 4)), Norm(x.narrow(0, 4, 2))};
  const auto rank = [&](std::size_t r, const at::Tensor& part) {
    const SumOverRanks sum = sums.of(r);
    const NormSyncScope scope(sum);
    ranks[r].run(part);
  };
  std::thread other([&] { rank(1, gradient.narrow(0, 4, 2)); });
  rank(0, gradient.narrow(0, 0, 4));
  other.join();
  check_close("output", at::cat({ranks[0].y, ranks[1].y}), whole.y);
  check_close("gradient of the input", at::cat({ranks[0].x.grad(), ranks[1].x.grad()}), whole.x.grad());
  check_close("gradient of the weight", ranks[0].weight.grad() + ranks[1].weight.grad(), whole.weight.grad());
  check_close("gradient of the bias", ranks[0].bias.grad() + ranks[1].bias.grad(), whole.bias.grad());
  for (const Norm& norm : ranks) {
    check_close("running mean", norm.mean, whole.mean);
    check_close("running variance", norm.variance, whole.variance);
  }
}

TEST_CASE("without a function to add up with, batch norm is torch's own") {
  const at::Tensor x = random_tensor({2, 5, 4, 3}, 5);
  Norm ours(x);
  const SumOverRanks none;
  const NormSyncScope scope(none);
  ours.run(at::ones_like(x));
  const at::Tensor torchs = at::batch_norm(x, ours.weight, ours.bias, {}, {}, true, kConstants.momentum, kConstants.epsilon, true);
  CHECK(at::equal(ours.y, torchs));
}

TEST_CASE("a batch of one value per channel is refused instead of leaving NaN in the running statistics") {
  Norm norm(random_tensor({1, 5, 1, 1}, 6));
  CHECK_THROWS_AS(norm.run(at::ones({1, 5, 1, 1})), InputError);
  CHECK(at::equal(norm.variance, at::ones({5})));
}
