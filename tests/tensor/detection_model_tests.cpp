#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>

#include "base/error.h"
#include "detect/detection_model.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Matchers::Contains;

namespace {

at::Tensor entry(DetectionModel& model, const std::string& name) {
  for (StateEntry& each : model.state()) {
    if (each.name == name) return each.tensor;
  }
  FAIL("no state entry " << name);
  return {};
}

at::Tensor some_images() { return at::linspace(0, 1, 3 * 64 * 64).view({1, 3, 64, 64}).contiguous(); }

at::Tensor decoded(DetectionModel& model) {
  const at::NoGradGuard no_grad;
  return model.decode(model.forward(some_images(), false));
}

}  // namespace

TEST_CASE("the initial state is YOLOv5's") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  CHECK(model->state().size() == 349);
  CHECK(entry(*model, "model.0.bn.running_var").eq(at::scalar_tensor(0.9F)).all().item<bool>());
  CHECK(entry(*model, "model.0.bn.running_mean").eq(0).all().item<bool>());
  CHECK(entry(*model, "model.9.cv2.bn.num_batches_tracked").item<std::int64_t>() == 1);
  const double bound = 1 / std::sqrt(3.0 * 36);
  CHECK(entry(*model, "model.0.conv.weight").abs().max().item<double>() <= bound);
  CHECK(entry(*model, "model.0.conv.weight").abs().max().item<double>() > 0.98 * bound);
  const at::Tensor bias = entry(*model, "model.24.m.0.bias").view({3, 8});
  CHECK((bias.select(1, 4) + 6.684612).abs().max().item<double>() <= 0.1251);  // the uniform part: 1 / sqrt(64)
  CHECK((bias.slice(1, 5) + 1.203978).abs().max().item<double>() <= 0.1251);
}

TEST_CASE("parameters are leaves that require gradients, buffers do not") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  std::map<StateEntry::Kind, int> kinds;
  for (const StateEntry& each : model->state()) {
    ++kinds[each.kind];
    CHECK(each.tensor.is_leaf());
    CHECK(each.tensor.requires_grad() == each.trainable());
  }
  CHECK(kinds[StateEntry::Kind::bias] == 60);
  CHECK(kinds[StateEntry::Kind::weight] == 60);
  CHECK(kinds[StateEntry::Kind::norm_weight] == 57);
  CHECK(kinds[StateEntry::Kind::batches_tracked] == 57);
}

TEST_CASE("a seed gives the same weights again, another seed gives others") {
  const std::string checksum = state_checksum(*make_yolov5("yolov5n", 3, 7));
  CHECK(checksum.size() == 16);
  CHECK(state_checksum(*make_yolov5("yolov5n", 3, 7)) == checksum);
  CHECK(state_checksum(*make_yolov5("yolov5n", 3, 8)) != checksum);
}

TEST_CASE("the checksum sees every floating entry and neither the layout nor the batch counters") {
  const at::NoGradGuard no_grad;
  const auto model = make_yolov5("yolov5n", 3, 7);
  const std::string checksum = state_checksum(*model);
  entry(*model, "model.1.conv.weight")
      .set_data(entry(*model, "model.1.conv.weight").contiguous(at::MemoryFormat::ChannelsLast));
  entry(*model, "model.1.bn.num_batches_tracked").add_(1);
  CHECK(state_checksum(*model) == checksum);
  for (const char* name :
       {"model.0.conv.weight", "model.2.m.0.cv1.bn.running_var", "model.24.anchors", "model.24.m.2.bias"}) {
    at::Tensor last = entry(*model, name).flatten().slice(0, -1);
    const at::Tensor before = last.clone();
    last.mul_(1.0000002);
    INFO(name);
    CHECK(state_checksum(*model) != checksum);
    last.copy_(before);
  }
  CHECK(state_checksum(*model) == checksum);
}

TEST_CASE("one training forward counts a batch in every layer, an evaluation in none") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  const at::Tensor mean_before = entry(*model, "model.3.bn.running_mean").clone();
  model->forward(some_images(), true);
  for (const StateEntry& each : model->state()) {
    if (each.kind == StateEntry::Kind::batches_tracked) CHECK(each.tensor.item<std::int64_t>() == 2);
  }
  const at::Tensor mean = entry(*model, "model.3.bn.running_mean").clone();
  CHECK_FALSE(at::equal(mean, mean_before));
  model->forward(some_images(), false);
  CHECK(at::equal(entry(*model, "model.3.bn.running_mean"), mean));
  CHECK(entry(*model, "model.3.bn.num_batches_tracked").item<std::int64_t>() == 2);
}

TEST_CASE("set_data on a state entry re-points the weights that forward reads, and gradients arrive at the entry") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  const at::Tensor before = decoded(*model);
  const at::Tensor flat = at::empty({10'000'000});
  std::int64_t used = 0;
  for (StateEntry& each : model->state()) {
    if (each.kind == StateEntry::Kind::batches_tracked) continue;
    const at::Tensor view = flat.narrow(0, used, each.tensor.numel()).view(each.tensor.sizes());
    used += each.tensor.numel();
    view.copy_(each.tensor.detach());
    each.tensor.set_data(view);
  }
  CHECK(at::equal(decoded(*model), before));
  flat.narrow(0, 0, used).mul_(0.5);
  CHECK_FALSE(at::equal(decoded(*model), before));
  const auto raw = model->forward(some_images(), false);
  (raw[0].sum() + raw[1].sum() + raw[2].sum()).backward();
  CHECK(entry(*model, "model.0.conv.weight").grad().defined());
}

TEST_CASE("a clone equals its origin and shares nothing with it") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  model->forward(some_images(), true);
  const auto copy = model->clone();
  CHECK(copy->name() == "yolov5n");
  CHECK(state_checksum(*copy) == state_checksum(*model));
  CHECK(entry(*copy, "model.0.bn.num_batches_tracked").item<std::int64_t>() == 2);
  CHECK(entry(*copy, "model.0.conv.weight").requires_grad());
  copy->forward(some_images(), true);
  CHECK(entry(*copy, "model.23.cv3.bn.num_batches_tracked").item<std::int64_t>() == 3);
  CHECK(entry(*model, "model.23.cv3.bn.num_batches_tracked").item<std::int64_t>() == 2);
  CHECK(state_checksum(*copy) != state_checksum(*model));
}

TEST_CASE("a change of dtype keeps the handles and the batch counters") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  const at::Tensor weight = entry(*model, "model.0.conv.weight"),
                   counter = entry(*model, "model.0.bn.num_batches_tracked");
  model->to(at::kCPU, at::kHalf);
  CHECK(weight.scalar_type() == at::kHalf);
  CHECK(counter.scalar_type() == at::kLong);
  model->to(at::kCPU, at::kFloat);
  model->forward(some_images(), true);
  CHECK(counter.item<std::int64_t>() == 2);
}

TEST_CASE("decoding keeps the dtype of its input; what the network said in bf16 is decoded in fp32") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  const at::NoGradGuard no_grad;
  auto raw = model->forward(some_images(), false);
  const at::Tensor full = model->decode(raw);
  CHECK(full.sizes().vec() == std::vector<std::int64_t>{1, 252, 8});
  for (at::Tensor& level : raw) level = level.to(at::kHalf);
  const at::Tensor half = model->decode(raw);
  CHECK(half.scalar_type() == at::kHalf);
  CHECK(at::allclose(half.to(at::kFloat), full, 2e-3, 0.1));
  std::vector<at::Tensor> brain, widened;
  for (const at::Tensor& level : raw) {
    brain.push_back(level.to(at::kBFloat16));
    widened.push_back(brain.back().to(at::kFloat));
  }
  CHECK(at::equal(model->decode(brain), model->decode(widened)));
}

TEST_CASE("channels_last images and weights give the same detections in the same layout") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  const at::NoGradGuard no_grad;
  const at::Tensor plain = decoded(*model);
  for (StateEntry& each : model->state()) {
    if (each.tensor.dim() == 4) each.tensor.set_data(each.tensor.contiguous(at::MemoryFormat::ChannelsLast));
  }
  const auto raw = model->forward(some_images().contiguous(at::MemoryFormat::ChannelsLast), false);
  CHECK(raw[0].stride(4) == 1);
  CHECK(at::allclose(model->decode(raw), plain, 1e-4, 1e-4));
}

TEST_CASE("folding batch norms keeps the detections") {
  const auto model = make_yolov5("yolov5n", 3, 1);
  for (int i = 0; i < 5; ++i) model->forward(some_images(), true);
  const at::Tensor before = decoded(*model);
  model->fuse();
  CHECK(model->state().size() == 121);
  CHECK(at::allclose(decoded(*model), before, 1e-3, 1e-3));
  CHECK(at::equal(decoded(*model->clone()), decoded(*model)));
}

TEST_CASE("a state loads by name where shapes are equal") {
  const auto source = make_yolov5("yolov5n", 80, 1), target = make_yolov5("yolov5n", 3, 2);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const StateEntry& each : source->state()) tensors.emplace_back(each.name, each.tensor.detach().to(at::kHalf));
  tensors.emplace_back("model.99.unknown", at::ones(1));
  CHECK(load_matching_state(*target, tensors) == 349 - 6);
  CHECK(at::allclose(entry(*target, "model.5.conv.weight"), entry(*source, "model.5.conv.weight"), 1e-3, 1e-4));
}

TEST_CASE("an unknown model or an impossible class count is refused with what is known") {
  CHECK_THROWS_AS(make_yolov5("yolov5q", 3, 1), InputError);
  CHECK_THROWS_WITH(make_yolov5("yolov5q", 3, 1), Contains("yolov5q") && Contains("yolov5n") && Contains("yolov5x6"));
  CHECK_THROWS_WITH(make_yolov5("yolov5n", 0, 1), Contains("0 classes"));
}
