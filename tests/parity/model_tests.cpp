// The networks against models*.json: formula-made weights and images, outputs of YOLOv5 v7.0 (golden functions.md §1).
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "detect/detection_model.h"
#include "tests/support/golden_json.h"
#include "tests/support/golden_state.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

constexpr int kPeriod = 9973;  // the formulas repeat after that many elements

/// value(t) for t = k mod 9973 over a whole tensor, cast to float32.
template <typename Formula>
at::Tensor periodic(const at::Tensor& like, Formula value) {
  const std::int64_t size = like.numel(), rows = (size + kPeriod - 1) / kPeriod;
  at::Tensor row = at::empty({kPeriod}, at::kFloat);
  for (int t = 0; t < kPeriod; ++t) row.data_ptr<float>()[t] = static_cast<float>(value(static_cast<double>(t)));
  return row.repeat({rows}).narrow(0, 0, size).view(like.sizes());
}

at::Tensor detect_bias(const StateEntry& entry, const json& c, double i, int classes, int stride) {
  at::Tensor bias = at::empty_like(entry.tensor);
  for (std::int64_t k = 0; k < bias.numel(); ++k) {
    const std::int64_t column = k % (classes + 5);
    double value = c["db"][0].get<double>() *
                   std::sin(c["db"][1].get<double>() * static_cast<double>(k) + c["db"][2].get<double>() * i);
    if (column == 4) value += std::log(8.0 / std::pow(640.0 / stride, 2));
    if (column > 4) value += std::log(0.6 / (classes - 0.99999));
    bias.data_ptr<float>()[k] = static_cast<float>(value);
  }
  return bias;
}

void initialise(DetectionModel& model, const json& c) {
  const at::NoGradGuard no_grad;
  const auto coefficient = [&](const char* name, int n) { return c[name][static_cast<std::size_t>(n)].get<double>(); };
  const auto sine = [&](const char* name, double t, double i) {
    return std::sin(coefficient(name, 1) * t + coefficient(name, 2) * i);
  };
  const auto cosine = [&](const char* name, double t, double i) {
    return std::cos(coefficient(name, 1) * t + coefficient(name, 2) * i);
  };
  std::size_t level = 0;
  for (std::size_t index = 0; index < model.state().size(); ++index) {
    StateEntry& entry = model.state()[index];
    const auto i = static_cast<double>(index);
    const auto ends = [&](const char* suffix) { return entry.name.ends_with(suffix); };
    if (entry.kind == StateEntry::Kind::anchors) continue;
    if (entry.kind == StateEntry::Kind::batches_tracked) {
      entry.tensor.zero_();
    } else if (entry.tensor.dim() == 4) {
      const bool detect = !ends("conv.weight"),
                 residual = entry.name.find(".m.") != std::string::npos && ends(".cv2.conv.weight");
      const double gain = c[detect ? "gdet" : residual ? "gres" : "gain"];
      const double amplitude = std::sqrt(gain / static_cast<double>(entry.tensor[0].numel()));
      const double w1 = c["w1"], w1i = c["w1i"], w2 = c["w2"], w2i = c["w2i"];
      entry.tensor.copy_(periodic(entry.tensor, [&](double t) {
        return amplitude * (std::sin(w1 * t + w1i * i) + std::sin(w2 * t * t + w2i * i));
      }));
    } else if (ends("bn.weight")) {
      entry.tensor.copy_(
          periodic(entry.tensor, [&](double t) { return 1 + coefficient("bnw", 0) * sine("bnw", t, i); }));
    } else if (ends("bn.bias")) {
      const double b0 = c["b0"];
      entry.tensor.copy_(
          periodic(entry.tensor, [&](double t) { return b0 + coefficient("bnb", 0) * cosine("bnb", t, i); }));
    } else if (ends("running_mean")) {
      entry.tensor.copy_(periodic(entry.tensor, [&](double t) { return coefficient("bnm", 0) * sine("bnm", t, i); }));
    } else if (ends("running_var")) {
      entry.tensor.copy_(periodic(
          entry.tensor, [&](double t) { return 1 + coefficient("bnv", 0) * std::pow(cosine("bnv", t, i), 2); }));
    } else {
      entry.tensor.copy_(detect_bias(entry, c, i, model.classes(), model.strides()[level++]));
    }
  }
}

at::Tensor formula_images(const json& shape, const json& c) {
  at::Tensor images = at::empty(shape.get<std::vector<std::int64_t>>(), at::kFloat);
  float* out = images.data_ptr<float>();
  const auto f = c["img"].get<std::vector<double>>();
  for (std::int64_t b = 0; b < images.size(0); ++b) {
    for (std::int64_t channel = 0; channel < images.size(1); ++channel) {
      for (std::int64_t row = 0; row < images.size(2); ++row) {
        for (std::int64_t column = 0; column < images.size(3); ++column) {
          const auto x = static_cast<double>(column), y = static_cast<double>(row);
          const double phase =
              f[0] * x + f[1] * y + f[2] * static_cast<double>(channel) + f[3] * x * y + f[4] * static_cast<double>(b);
          *out++ = static_cast<float>(0.5 + 0.5 * std::sin(phase));
        }
      }
    }
  }
  return images;
}

double l2(const at::Tensor& t) { return t.to(at::kDouble).square().sum().sqrt().item<double>(); }
double sum_of(const at::Tensor& t) { return t.to(at::kDouble).sum().item<double>(); }

struct Tolerance {
  double sample_absolute, sample_relative, mean, l2;
};
constexpr Tolerance kRawEval{1e-4, 0, 1e-5, 1e-5}, kDecoded{1e-4, 1e-4, 1e-5, 1e-5}, kRawTrain{3e-4, 0, 3e-4, 1e-4};

void compare_tensor(const std::string& name, const at::Tensor& tensor, const json& golden, const Tolerance& tolerance,
                    Deviations& deviations) {
  REQUIRE(tensor.sizes().vec() == golden["shape"].get<std::vector<std::int64_t>>());
  const at::Tensor flat = tensor.detach().contiguous().flatten();
  for (const json& sample : golden["samples"]) {
    deviations.add(name + " samples", flat[sample[0].get<std::int64_t>()].item<double>(), sample[1],
                   tolerance.sample_absolute, tolerance.sample_relative);
  }
  const double mean = flat.to(at::kDouble).mean().item<double>(),
               mean_abs = flat.to(at::kDouble).abs().mean().item<double>();
  deviations.add(name + " l2", l2(flat), golden["l2"], 0, tolerance.l2);
  deviations.add(name + " mean_abs", mean_abs, golden["mean_abs"], 0, tolerance.l2);
  // The decoded mean is dominated by pixel values: absolute 1e-5 of a mean near 2.
  deviations.add(name + " mean", mean, golden["mean"], tolerance.mean, 0);
}

void compare_eval(const std::string& name, DetectionModel& model, const json& golden, const json& c,
                  Deviations& deviations) {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> raw = model.forward(formula_images(golden["input"], c), false);
  REQUIRE(raw.size() == golden["raw"].size());
  for (std::size_t level = 0; level < raw.size(); ++level) {
    compare_tensor(name + " raw", raw[level], golden["raw"][level], kRawEval, deviations);
  }
  const at::Tensor decoded = model.decode(raw);
  compare_tensor(name + " decoded", decoded, golden["decoded"], kDecoded, deviations);
  const json& columns = golden["decoded"]["column_sums_first6"];
  for (std::size_t c = 0; c < columns.size(); ++c) {
    deviations.add(name + " decoded columns", sum_of(decoded.select(2, static_cast<std::int64_t>(c))), columns[c], 0,
                   kDecoded.l2);
  }
  for (const json& row : golden["decoded"].value("rows_first6_columns", json::array())) {
    for (int column = 0; column < 6; ++column) {
      deviations.add(name + " decoded rows", decoded[0][row[0].get<std::int64_t>()][column].item<double>(),
                     row[1 + static_cast<std::size_t>(column)], kDecoded.sample_absolute, kDecoded.sample_relative);
    }
  }
}

at::Tensor find(DetectionModel& model, const std::string& name) {
  for (StateEntry& entry : model.state()) {
    if (entry.name == name) return entry.tensor;
  }
  FAIL("no state entry " << name);
  return {};
}

void compare_gradients(DetectionModel& model, const json& golden, Deviations& deviations) {
  double squares = 0;
  for (StateEntry& entry : model.state()) {
    if (entry.trainable()) squares += std::pow(l2(entry.tensor.grad()), 2);
  }
  deviations.add("train gradient l2", std::sqrt(squares), golden["total_l2"], 0, 1e-3);
  for (const auto& [name, norm] : golden["per_parameter_l2"].items()) {
    deviations.add("train gradient l2", l2(find(model, name).grad()), norm, 0, 1e-3);
  }
}

void compare_train(DetectionModel& model, const json& golden, const json& c, Deviations& deviations) {
  const std::vector<at::Tensor> raw = model.forward(formula_images(golden["input"], c), true);
  at::Tensor value = at::zeros({});
  for (std::size_t level = 0; level < raw.size(); ++level) {
    compare_tensor("train raw", raw[level], golden["raw"][level], kRawTrain, deviations);
    value = value + raw[level].square().mean();
  }
  for (const auto& [name, stats] : golden["running_stats_after"].items()) {
    const at::Tensor mean = find(model, name + ".running_mean"), variance = find(model, name + ".running_var");
    deviations.add("running statistics", sum_of(mean), stats["running_mean_sum"], 0, 1e-4);
    deviations.add("running statistics", l2(mean), stats["running_mean_l2"], 0, 1e-4);
    deviations.add("running statistics", sum_of(variance), stats["running_var_sum"], 0, 1e-4);
    CHECK(find(model, name + ".num_batches_tracked").item<std::int64_t>() ==
          stats["num_batches_tracked"].get<std::int64_t>());
  }
  value.backward();
  const json& gradient = golden["gradient_of_sum_of_mean_squares"];
  deviations.add("train value", value.item<double>(), gradient["value"], 0, 1e-4);
  compare_gradients(model, gradient, deviations);
}

std::int64_t elements(const DetectionModel& model, bool trainable_only) {
  std::int64_t count = 0;
  for (const StateEntry& entry : model.state()) {
    if (!trainable_only || entry.trainable()) count += entry.tensor.numel();
  }
  return count;
}

void compare_sizes(DetectionModel& model, const json& golden) {
  CHECK(elements(model, true) == golden["parameters"].get<std::int64_t>());
  CHECK(elements(model, false) == golden["state_dict_elements"].get<std::int64_t>());
  REQUIRE(model.state().size() == golden["state_dict_entries"].get<std::size_t>());
  REQUIRE(model.strides().size() == golden["strides"].size());
  for (std::size_t level = 0; level < model.strides().size(); ++level) {
    CHECK(model.strides()[level] == golden["strides"][level].get<double>());
    for (std::size_t a = 0; a < golden["anchors_grid_units"][level].size(); ++a) {
      for (std::size_t side = 0; side < 2; ++side) {
        const auto l = static_cast<std::int64_t>(level), n = static_cast<std::int64_t>(a),
                   s = static_cast<std::int64_t>(side);
        CHECK(model.anchors()[l][n][s].item<float>() == golden["anchors_grid_units"][level][a][side].get<float>());
      }
    }
  }
  if (!golden.contains("state_dict")) return;
  for (std::size_t i = 0; i < golden["state_dict"].size(); ++i) {
    CHECK(model.state()[i].name == golden["state_dict"][i][0].get<std::string>());
    CHECK(model.state()[i].tensor.sizes().vec() == golden["state_dict"][i][1].get<std::vector<std::int64_t>>());
  }
}

void compare_fused(const DetectionModel& unfused, const json& golden, const json& c, Deviations& deviations) {
  const auto model = unfused.clone();
  model->fuse();
  CHECK(elements(*model, true) == golden["parameters"].get<std::int64_t>());
  CHECK(model->state().size() == golden["state_dict_entries"].get<std::size_t>());
  compare_eval("fused", *model, golden, c, deviations);
  const json& first = golden["first_conv"];
  deviations.add("fused first convolution", sum_of(find(*model, "model.0.conv.weight")), first["weight"]["sum"], 1e-5,
                 1e-5);
  deviations.add("fused first convolution", l2(find(*model, "model.0.conv.weight")), first["weight"]["l2"], 0, 1e-5);
  for (std::size_t k = 0; k < first["bias"].size(); ++k) {
    deviations.add("fused first convolution",
                   find(*model, "model.0.conv.bias")[static_cast<std::int64_t>(k)].item<double>(), first["bias"][k],
                   1e-5, 1e-5);
  }
}

void compare_model(const std::string& key, const json& golden, const json& c) {
  const auto model = make_yolov5(golden["model"], golden["nc"], 0);
  initialise(*model, c);
  compare_sizes(*model, golden);
  Deviations deviations;
  for (const auto& [name, check] : golden["init_check_sum_l2"].items()) {
    deviations.add("initialisation", sum_of(find(*model, name)), check[0], 1e-4, 1e-6);
    deviations.add("initialisation", l2(find(*model, name)), check[1], 0, 1e-6);
  }
  compare_eval("eval", *model, golden["eval"], c, deviations);
  if (golden.contains("eval_nonsquare"))
    compare_eval("eval_nonsquare", *model, golden["eval_nonsquare"], c, deviations);
  if (golden.contains("fused")) compare_fused(*model, golden["fused"], c, deviations);
  if (golden.contains("train")) compare_train(*model, golden["train"], c, deviations);
  deviations.print_and_check(key);
}

}  // namespace

TEST_CASE("networks agree with YOLOv5's in sizes, evaluation, training and fused form") {
  const auto files = golden_files("models");
  if (files.empty()) VB_SKIP("no models*.json in " + golden_folder().string() + "; set VALBENCH_GOLDEN");
  for (const auto& file : files) {
    const json golden = read_json(file);
    for (const auto& [key, model] : golden["models"].items()) {
      INFO(file << ": " << key);
      compare_model(key, model, golden["coefficients"]);
    }
  }
}

TEST_CASE("the formula image is YOLOv5's input") {
  const auto files = golden_files("models");
  if (files.empty()) VB_SKIP("no models*.json in " + golden_folder().string() + "; set VALBENCH_GOLDEN");
  for (const auto& file : files) {
    const json golden = read_json(file), &check = golden["image_check"];
    const at::Tensor images = formula_images(check["shape"], golden["coefficients"]);
    Deviations deviations;
    deviations.add("image mean", images.to(at::kDouble).mean().item<double>(), check["mean"], 1e-8, 0);
    deviations.add("image l2", l2(images), check["l2"], 0, 1e-8);
    const at::Tensor flat = images.flatten();
    for (const json& sample : check["samples"]) {
      deviations.add("image samples", flat[sample[0].get<std::int64_t>()].item<double>(), sample[1], 1e-8, 0);
    }
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("the golden plain state has every entry of its network, by name and shape") {
  const auto file = golden_folder() / "yolov5n_bccd_state.json";
  if (!std::filesystem::exists(file)) VB_SKIP("no " + file.string() + "; set VALBENCH_GOLDEN");
  const auto model = make_yolov5("yolov5n", 3, 0);
  CHECK(load_matching_state(*model, read_golden_state(file)) == static_cast<int>(model->state().size()));
}
