#include "tests/parity/trace_replay.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numbers>

#include "data/resized_images.h"
#include "data/sample.h"
#include "detect/state_layout.h"
#include "detect/weights/model_weights.h"
#include "validate/evaluator.h"

namespace valbench::test {
namespace {

using nlohmann::json;

Hyperparameters hyp_of(const json& h) {
  Hyperparameters hyp;
  hyp.lr0 = h.at("lr0"), hyp.lrf = h.at("lrf"), hyp.momentum = h.at("momentum"), hyp.weight_decay = h.at("weight_decay");
  hyp.warmup_epochs = h.at("warmup_epochs"), hyp.warmup_momentum = h.at("warmup_momentum");
  hyp.warmup_bias_lr = h.at("warmup_bias_lr"), hyp.box = h.at("box"), hyp.cls = h.at("cls"), hyp.cls_pw = h.at("cls_pw");
  hyp.obj = h.at("obj"), hyp.obj_pw = h.at("obj_pw"), hyp.anchor_t = h.at("anchor_t"), hyp.fl_gamma = h.at("fl_gamma");
  for (double* zero : {&hyp.hsv_h, &hyp.hsv_s, &hyp.hsv_v, &hyp.translate, &hyp.scale, &hyp.fliplr, &hyp.mosaic}) *zero = 0;
  return hyp;
}

RunSpec spec_of(const json& trace) {
  const json& settings = trace.at("settings");
  RunSpec spec;
  spec.model = std::filesystem::path(settings.at("model").get<std::string>()).stem();
  spec.imgsz = settings.at("imgsz");
  spec.epochs = settings.at("epochs");
  spec.batch_size = settings.at("batch_size");
  spec.cos_lr = settings.at("cos_lr");
  spec.label_smoothing = settings.value("label_smoothing", 0.0);
  spec.hyp = hyp_of(settings.at("hyp"));
  return spec;
}

/// Golden page, "Formula initialisation (traces)": the hash, and the sine variant.
double formula_weight(bool sine, std::uint32_t i, std::uint32_t k) {
  if (sine) {
    const double t = k % 9973;
    return std::sin(0.37 * t + 0.11 * i + 1.3 * std::floor(k / 9973.0));
  }
  std::uint32_t x = k + static_cast<std::uint32_t>(std::uint64_t{i} * 1000003U);
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return 2 * (x / 4294967296.0) - 1;
}

/// One element of entry i, in float64.
struct Formula {
  const json& coefficients;
  bool sine;
  int classes;
  const std::vector<int>& strides;

  double term(const char* key, double t, double i) const {
    const json& c = coefficients.at(key);
    const double phase = c.at("t").get<double>() * t + c.at("i").get<double>() * i;
    return c.value("base", 0.0) + c.at("amplitude").get<double>() * (c.value("function", "sin") == "cos" ? std::cos(phase) : std::sin(phase));
  }

  double operator()(const StateEntry& entry, std::uint32_t i, std::uint32_t k) const {
    const double t = k % 9973;
    const bool detect = entry.name.starts_with("model.24.");
    if (entry.kind == StateEntry::Kind::weight) {
      const double fan_in = static_cast<double>(entry.tensor.size(1) * entry.tensor.size(2) * entry.tensor.size(3));
      return std::sqrt(6 / fan_in) * coefficients.at("weight_factor").get<double>() * formula_weight(sine, i, k);
    }
    if (entry.kind == StateEntry::Kind::norm_weight) return term("bn_weight", t, i);
    if (entry.kind == StateEntry::Kind::bias && !detect) return term("bn_bias", t, i);
    if (entry.kind == StateEntry::Kind::bias) {
      const auto level = static_cast<std::size_t>(entry.name.at(std::string("model.24.m.").size()) - '0');
      const auto column = static_cast<int>(k) % (classes + 5);
      const double objectness = std::log(8 / std::pow(640.0 / strides[level], 2));
      const double cls = std::log(0.6 / (classes - 0.99999));
      return term("detect_bias", t, i) + (column == 4 ? objectness : column > 4 ? cls : 0.0);
    }
    return entry.name.ends_with("running_var") ? coefficients.at("running_var") : coefficients.at("running_mean");
  }
};

void initialise(DetectionModel& model, const json& settings) {
  const c10::NoGradGuard no_gradients;
  const Formula formula{settings.at("init_coefficients"), settings.at("init_formula") == "sine", model.classes(), model.strides()};
  for (std::size_t i = 0; i < model.state().size(); ++i) {
    StateEntry& entry = model.state()[i];
    if (entry.kind == StateEntry::Kind::batches_tracked) entry.tensor.zero_();
    if (entry.kind == StateEntry::Kind::batches_tracked || entry.kind == StateEntry::Kind::anchors) continue;
    at::Tensor values = at::empty(entry.tensor.sizes(), at::kFloat);
    float* out = values.mutable_data_ptr<float>();
    for (std::int64_t k = 0; k < values.numel(); ++k) {
      out[k] = static_cast<float>(formula(entry, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(k)));
    }
    entry.tensor.copy_(values);
  }
}

}  // namespace

std::unique_ptr<DetectionModel> trace_model(const json& trace) {
  const json& settings = trace.at("settings");
  auto model = make_yolov5(std::filesystem::path(settings.at("model").get<std::string>()).stem(), settings.at("nc"), 0);
  if (settings.contains("weights")) {
    const std::filesystem::path file = settings["weights"].get<std::string>();
    load_model_weights(golden_folder() / file.filename(), {.whole = true}, *model);
  } else {
    initialise(*model, settings);
  }
  return model;
}

TraceReplay::TraceReplay(const json& trace)
    : trace_(trace), spec_(spec_of(trace)), communicator_(make_single_communicator()), model_(trace_model(trace)) {
  train_set_ = std::make_shared<YoloDataset>(subset(Split::train, trace.at("settings").at("train_images")));
  // Equal aspect ratios come in any order in v7.0; the page lists the order it had.
  val_set_ = std::make_shared<YoloDataset>(subset(Split::val, trace.at("setup").at("val_order")));
  const auto images = static_cast<std::int64_t>(train_set_->images.size());
  step_ = std::make_unique<TrainStep>(spec_, *model_, *communicator_, tracer_, (images + spec_.batch_size - 1) / spec_.batch_size,
                                      c10::Device(c10::DeviceType::CPU));
}

YoloDataset TraceReplay::subset(Split split, const json& names) const {
  const std::string folder = trace_.at("dataset");
  YoloDataset all = load_yolo_dataset(read_data_config(golden_folder() / ".." / "data" / folder / "data.yaml"), split, 2);
  YoloDataset chosen = all;
  chosen.images.clear();
  for (const json& name : names) {
    const auto found = std::find_if(all.images.begin(), all.images.end(), [&](const ImageEntry& e) { return e.file.filename().string() == name.get<std::string>(); });
    REQUIRE(found != all.images.end());
    chosen.images.push_back(*found);
  }
  return chosen;
}

Batch TraceReplay::batch(const json& step) const {
  const ResizedImages images(train_set_, {.imgsz = spec_.imgsz, .augment = true, .keep = false});
  const json& files = step.at("files");
  Batch batch;
  batch.images = at::empty({static_cast<std::int64_t>(files.size()), 3, spec_.imgsz, spec_.imgsz}, at::kByte);
  std::vector<float> rows;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto found = std::find_if(train_set_->images.begin(), train_set_->images.end(),
                                    [&](const ImageEntry& e) { return e.file.filename().string() == files[i].get<std::string>(); });
    REQUIRE(found != train_set_->images.end());
    const Sample sample = training_sample(images, found - train_set_->images.begin(), ItemDraw{});
    const at::Tensor pixels = at::from_blob(sample.image.data, {spec_.imgsz, spec_.imgsz, 3}, at::kByte);
    batch.images[static_cast<std::int64_t>(i)].copy_(pixels.permute({2, 0, 1}));
    for (const LabelRow& r : sample.labels) rows.insert(rows.end(), {static_cast<float>(i), r.cls, r.x, r.y, r.w, r.h});
  }
  batch.targets = at::from_blob(rows.data(), {static_cast<std::int64_t>(rows.size() / 6), 6}, at::kFloat).clone();
  return batch;
}

ValidationRecord TraceReplay::validate(const at::Tensor& state, bool closing, PartialScore* score) const {
  const c10::NoGradGuard no_gradients;
  auto model = model_->clone();
  const at::Tensor weights = closing ? state.to(at::kHalf).to(at::kFloat) : state;
  for (const StateSlice& slice : flat_state_layout(model->state())) {
    StateEntry& entry = model->state()[slice.entry];
    entry.tensor.copy_(entry_view(weights, slice, entry.tensor));
  }
  if (closing) {
    // §6.1: attempt_load(best.pt) fuses, .half() rounds the fused weights once more, and on a CPU val.run goes back to float.
    model->fuse();
    model->to(c10::Device(c10::DeviceType::CPU), at::kHalf);
    model->to(c10::Device(c10::DeviceType::CPU), at::kFloat);
  }
  const auto plan = plan_validation_batches(*val_set_, {}, spec_.imgsz, 2 * spec_.batch_size, 32, BatchShape::rect);
  const auto loader = make_validation_loader(val_set_, plan, 1, false, false);
  Evaluator evaluator(step_->loss(), {}, tracer_);
  const PartialScore parts[] = {evaluator.score(*model, *loader, plan)};
  if (score != nullptr) *score = parts[0];
  return summarize_score(merge_scores(parts), 1);
}

double TraceReplay::model_value(const std::string& name, std::int64_t index) const {
  return flat_value(step_->model_state(), name, index);
}

double TraceReplay::flat_value(const at::Tensor& flat, const std::string& name, std::int64_t index) const {
  for (const StateSlice& slice : flat_state_layout(model_->state())) {
    if (model_->state()[slice.entry].name == name) return flat[slice.offset + index].item<double>();
  }
  FAIL("no entry " << name);
  return 0;
}

double TraceReplay::l2(const at::Tensor& flat, Part part) const {
  double sum = 0;
  for (const StateSlice& slice : flat_state_layout(model_->state())) {
    const StateEntry& entry = model_->state()[slice.entry];
    const bool running = entry.kind == StateEntry::Kind::running_stat;
    if (part == Part::parameters && !entry.trainable()) continue;
    if (part == Part::running && !running) continue;
    const double norm = at::linalg_vector_norm(flat.narrow(0, slice.offset, slice.elements), 2, std::nullopt, false, at::kDouble).item<double>();
    sum += norm * norm;
  }
  return std::sqrt(sum);
}

}  // namespace valbench::test
