// Every block of model YAML files against YOLOv5 v7.0: tests/data/models/numbers.json, made by make_numbers.py there.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cstdlib>

#include "detect/yolov5.h"
#include "scenario/model_yaml.h"
#include "tests/support/golden_json.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

std::filesystem::path folder() {
  return std::filesystem::path(std::getenv("VALBENCH_SOURCE")) / "tests" / "data" / "models";
}

/// The value of element k (mod 9973) of state entry i, as make_numbers.py has it.
double formula(const StateEntry& entry, double k, double i) {
  const auto ends = [&](const char* suffix) { return entry.name.ends_with(suffix); };
  if (entry.tensor.dim() >= 2) {
    const double fan = static_cast<double>(entry.tensor[0].numel());
    return std::sqrt(1.6 / fan) * (std::sin(0.73 * k + 0.11 * i) + std::sin(0.013 * k * k + 0.7 * i));
  }
  if (ends("running_mean")) return 0.05 * std::sin(0.31 * k + 0.03 * i);
  if (ends("running_var")) return 1 + 0.2 * std::pow(std::cos(0.17 * k + 0.02 * i), 2);
  if (ends("bias")) return 0.1 * std::cos(0.19 * k + 0.07 * i);
  return 1 + 0.1 * std::sin(0.23 * k + 0.05 * i);
}

void fill(DetectionModel& model) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < model.state().size(); ++i) {
    StateEntry& entry = model.state()[i];
    if (entry.kind == StateEntry::Kind::anchors || entry.kind == StateEntry::Kind::batches_tracked) continue;
    at::Tensor values = at::empty(entry.tensor.sizes(), at::kFloat);
    float* out = values.data_ptr<float>();
    for (std::int64_t k = 0; k < values.numel(); ++k) {
      out[k] = static_cast<float>(formula(entry, static_cast<double>(k % 9973), static_cast<double>(i)));
    }
    entry.tensor.copy_(values);
  }
}

at::Tensor images(std::int64_t count) {
  constexpr std::int64_t kSide = 128;
  at::Tensor all = at::empty({count, 3, kSide, kSide}, at::kFloat);
  float* out = all.data_ptr<float>();
  for (std::int64_t k = 0; k < all.numel(); ++k) {
    const auto x = static_cast<double>(k % kSide), y = static_cast<double>(k / kSide % kSide);
    const auto c = static_cast<double>(k / (kSide * kSide) % 3), b = static_cast<double>(k / (3 * kSide * kSide));
    out[k] = static_cast<float>(0.5 + 0.5 * std::sin(0.05 * x + 0.09 * y + 1.7 * c + 0.0011 * x * y + 0.6 * b));
  }
  return all;
}

/// Golden: shape, sum, L2, one element.
void compare(const std::string& name, const at::Tensor& tensor, const json& golden, Deviations& deviations) {
  REQUIRE(tensor.sizes().vec() == golden[0].get<std::vector<std::int64_t>>());
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous().flatten();
  const double l2 = golden[2];
  deviations.add(name + " sum", flat.sum().item<double>(), golden[1], 1e-5 * l2, 1e-5);
  deviations.add(name + " l2", flat.norm().item<double>(), l2, 0, 1e-5);
  deviations.add(name + " element", flat[flat.numel() / 3].item<double>(), golden[3], 3e-4, 1e-4);
}

void compare_names(const DetectionModel& model, const json& golden) {
  REQUIRE(model.state().size() == golden["state"].size());
  std::int64_t parameters = 0;
  for (std::size_t i = 0; i < model.state().size(); ++i) {
    const StateEntry& entry = model.state()[i];
    CHECK(entry.name == golden["state"][i][0].get<std::string>());
    CHECK(entry.tensor.sizes().vec() == golden["state"][i][1].get<std::vector<std::int64_t>>());
    if (entry.trainable()) parameters += entry.tensor.numel();
  }
  CHECK(parameters == golden["parameters"].get<std::int64_t>());
  const at::Tensor anchors = model.anchors().flatten();
  std::int64_t i = 0;
  for (const json& level : golden["anchors"]) {
    for (const json& anchor : level) {
      for (const json& side : anchor) CHECK(anchors[i++].item<float>() == side.get<float>());
    }
  }
}

void compare_network(const std::string& file, const json& golden) {
  Deviations deviations;
  const auto model = make_yolov5((folder() / file).string(), 2, 0);
  CHECK(model->name() == std::filesystem::path(file).stem().string());
  CHECK(std::vector<double>(model->strides().begin(), model->strides().end()) ==
        golden["strides"].get<std::vector<double>>());
  compare_names(*model, golden);
  fill(*model);
  {
    const at::NoGradGuard no_grad;
    const std::vector<at::Tensor> raw = model->forward(images(1), false);
    for (std::size_t level = 0; level < raw.size(); ++level) compare("eval raw " + std::to_string(level), raw[level], golden["raw"][level], deviations);
    compare("decoded", model->decode(raw), golden["decoded"], deviations);
  }
  const auto copy = model->clone();
  std::vector<at::Tensor> raw = model->forward(images(2), true);
  at::Tensor value = at::zeros({});
  for (std::size_t level = 0; level < raw.size(); ++level) {
    compare("train raw", raw[level], golden["train"][level], deviations);
    value = value + raw[level].square().mean();
  }
  value.backward();
  double squares = 0;
  for (StateEntry& entry : model->state()) {
    if (entry.trainable()) squares += entry.tensor.grad().to(at::kDouble).square().sum().item<double>();
  }
  deviations.add("gradient l2", std::sqrt(squares), golden["grad_l2"], 0, 1e-3);
  const at::NoGradGuard no_grad;
  copy->fuse();
  CHECK(copy->state().size() == golden["fused_entries"].get<std::size_t>());
  compare("fused", copy->decode(copy->forward(images(1), false)), golden["fused"], deviations);
  CHECK(at::equal(copy->decode(copy->forward(images(1), false)),
                  copy->clone()->decode(copy->clone()->forward(images(1), false))));
  deviations.print_and_check(file);
}

}  // namespace

TEST_CASE("networks of model YAML files agree with YOLOv5's, every block among them") {
  const json golden = read_json(folder() / "numbers.json");
  for (const auto& [file, numbers] : golden.items()) {
    INFO(file);
    compare_network(file, numbers);
  }
}
