// The network, the loss and training steps on a GPU against the CPU, in fp32 without TF32, within 1e-3; how far fp16 and bf16 lie off;
// and the deterministic mode, twice.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "base/subprocess.h"
#include "data/synthetic_dataset.h"
#include "detect/detection_loss.h"
#include "detect/detection_model.h"
#include "detect/state_layout.h"
#include "record/run_record.h"
#include "tests/support/golden_state.h"
#include "tests/support/gpu.h"
#include "tests/support/programs.h"
#include "tests/support/scratch_folder.h"
#include "train/train_step.h"

using namespace valbench;
using namespace valbench::test;

namespace {

constexpr double kTolerance = 1e-3;
constexpr int kClasses = 3, kSize = 320, kImages = 4;
const c10::Device kGpu(c10::DeviceType::CUDA, 0);

/// Full float32 on the GPU while it lives: cuDNN multiplies in TF32 by default.
class FullPrecision {
 public:
  FullPrecision() : cudnn_(at::globalContext().allowTF32CuDNN()), cublas_(at::globalContext().allowTF32CuBLAS()) { set(false, false); }
  ~FullPrecision() { set(cudnn_, cublas_); }
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;

 private:
  static void set(bool cudnn, bool cublas) {
    at::globalContext().setAllowTF32CuDNN(cudnn);
    at::globalContext().setAllowTF32CuBLAS(cublas);
  }
  bool cudnn_, cublas_;
};

/// Trained weights where the golden folder has them (yolov5n), else YOLOv5's seeded initial ones.
std::unique_ptr<DetectionModel> model_of(const std::string& name) {
  auto model = make_yolov5(name, kClasses, 1);
  const auto file = golden_folder() / (name + "_bccd_state.json");
  if (!std::filesystem::exists(file)) return model;
  const auto state = read_golden_state(file);
  REQUIRE(load_matching_state(*model, state) == static_cast<int>(state.size()));
  return model;
}

/// Smooth images, so that a trained network finds something, and labels of all sizes.
Batch batch_of(std::uint64_t seed) {
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed);
  const at::Tensor coarse = at::rand({kImages, 3, kSize / 16, kSize / 16}, random);
  const at::Tensor fine = at::rand({kImages, 3, kSize, kSize}, random);
  const at::Tensor pixels = at::upsample_bilinear2d(coarse, {kSize, kSize}, false).mul(200).add(fine.mul(55));
  at::Tensor targets = at::rand({6 * kImages, 6}, random);
  targets.select(1, 0).mul_(kImages).floor_();
  targets.select(1, 1).mul_(kClasses).floor_();
  targets.slice(1, 2, 4).mul_(0.8).add_(0.1);
  targets.slice(1, 4).mul_(0.4).add_(0.02);
  return {pixels.to(at::kByte), targets, {}};
}

at::Tensor input_of(const Batch& batch, c10::Device device, at::ScalarType dtype) {
  const auto layout = device.is_cuda() ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  return batch.images.to(device).to(dtype, false, false, layout).div_(255);
}

void move(DetectionModel& model, c10::Device device, at::ScalarType dtype) {
  model.to(device, dtype);
  if (device.is_cuda()) use_channels_last(model.state());
}

/// |ours - expected| / |expected| over whole tensors.
double relative_l2(const at::Tensor& ours, const at::Tensor& expected) {
  const at::Tensor a = ours.detach().cpu().to(at::kDouble), b = expected.detach().cpu().to(at::kDouble);
  const double scale = b.square().sum().sqrt().item<double>(), distance = (a - b).square().sum().sqrt().item<double>();
  return distance == 0 ? 0 : distance / scale;
}

double largest_difference(const at::Tensor& ours, const at::Tensor& expected) {
  return (ours.detach().cpu().to(at::kDouble) - expected.detach().cpu().to(at::kDouble)).abs().max().item<double>();
}

void report_and_check(const std::string& what, double deviation, double tolerance, std::int64_t values) {
  report_deviation(what, deviation, tolerance, values);
  INFO(what);
  CHECK(deviation <= tolerance);  // Also false for NaN.
}

/// Raw levels within 1e-3, decoded boxes within 1e-3 of the image's size, scores within 1e-3.
void compare_forward(const std::string& name) {
  const at::NoGradGuard no_gradients;
  const auto model = model_of(name);
  const Batch batch = batch_of(3);
  const auto run = [&](c10::Device device, at::ScalarType dtype) {
    move(*model, device, dtype);
    auto raw = model->forward(input_of(batch, device, dtype), false);
    raw.push_back(model->decode(raw));
    return raw;
  };
  const auto expected = run(c10::Device(c10::DeviceType::CPU), at::kFloat);
  const auto ours = run(kGpu, at::kFloat), half = run(kGpu, at::kHalf);
  const at::Tensor &decoded = ours.back(), &reference = expected.back();
  double raw = 0, raw_half = 0;
  std::int64_t values = 0;
  for (std::size_t level = 0; level + 1 < expected.size(); ++level) {
    raw = std::max(raw, largest_difference(ours[level], expected[level]));
    raw_half = std::max(raw_half, relative_l2(half[level], expected[level]));
    values += expected[level].numel();
  }
  report_and_check(name + " forward, fp32: raw outputs", raw, kTolerance, values);
  report_and_check(name + " forward, fp32: scores", largest_difference(decoded.slice(2, 4), reference.slice(2, 4)), kTolerance,
                   reference.slice(2, 4).numel());
  report_and_check(name + " forward, fp32: boxes (share of the input's side)",
                   largest_difference(decoded.slice(2, 0, 4), reference.slice(2, 0, 4)) / kSize, kTolerance, reference.slice(2, 0, 4).numel());
  report_deviation(name + " forward, fp16 (stored and computed): raw outputs, relative L2", raw_half, kNoTolerance, values);
  const auto fresh = model_of(name);  // The first one's weights are rounded to fp16 by now.
  move(*fresh, kGpu, at::kBFloat16);
  const auto brain = fresh->forward(input_of(batch, kGpu, at::kBFloat16), false);
  double raw_brain = 0;
  for (std::size_t level = 0; level < brain.size(); ++level) raw_brain = std::max(raw_brain, relative_l2(brain[level], expected[level]));
  report_deviation(name + " forward, bf16 (stored and computed): raw outputs, relative L2", raw_brain, kNoTolerance, values);
}

/// What one pass of training leaves on a device.
struct Pass {
  std::unique_ptr<DetectionModel> model;
  LossResult loss;
};

Pass training_pass(const std::string& name, const Batch& batch, c10::Device device) {
  Pass pass{model_of(name), {}};
  move(*pass.model, device, at::kFloat);
  const LossGains gains = scaled_loss_gains(Hyperparameters(), 0, 3, kClasses, kSize);
  const DetectionLoss loss(gains, kClasses, pass.model->anchors());
  pass.loss = loss(pass.model->forward(input_of(batch, device, at::kFloat), true), batch.targets.to(device));
  pass.loss.total.backward();
  return pass;
}

/// The loss within 1e-3, gradients and running statistics within 1e-3 of their length.
void compare_training_pass(const std::string& name) {
  const Batch batch = batch_of(5);
  const Pass ours = training_pass(name, batch, kGpu), expected = training_pass(name, batch, c10::Device(c10::DeviceType::CPU));
  const at::Tensor items = expected.loss.items.cpu();
  report_and_check(name + " loss, fp32: total, relative", relative_l2(ours.loss.total, expected.loss.total), kTolerance, 1);
  for (std::int64_t i = 0; i < 3; ++i) {
    const char* const item = std::array{"box", "obj", "cls"}[static_cast<std::size_t>(i)];
    report_and_check(name + " loss, fp32: " + item + ", relative", relative_l2(ours.loss.items[i], items[i]), kTolerance, 1);
  }
  std::vector<at::Tensor> our_gradients, gradients, our_statistics, statistics;
  double worst_entry = 0;
  for (std::size_t i = 0; i < expected.model->state().size(); ++i) {
    const StateEntry &mine = ours.model->state()[i], &theirs = expected.model->state()[i];
    if (theirs.trainable()) {
      our_gradients.push_back(mine.tensor.grad().cpu().contiguous().flatten());
      gradients.push_back(theirs.tensor.grad().contiguous().flatten());
      worst_entry = std::max(worst_entry, relative_l2(our_gradients.back(), gradients.back()));
    } else if (theirs.kind == StateEntry::Kind::running_stat) {
      our_statistics.push_back(mine.tensor.cpu().flatten());
      statistics.push_back(theirs.tensor.flatten());
    }
  }
  const at::Tensor all = at::cat(gradients), all_statistics = at::cat(statistics);
  report_and_check(name + " gradient, fp32: relative L2", relative_l2(at::cat(our_gradients), all), kTolerance, all.numel());
  report_deviation(name + " gradient, fp32: relative L2 of the worst parameter", worst_entry, kNoTolerance,
                   static_cast<std::int64_t>(gradients.size()));
  report_and_check(name + " running statistics, fp32: relative L2", relative_l2(at::cat(our_statistics), all_statistics), kTolerance,
                   all_statistics.numel());
}

/// A model, its step and what the step refers to.
struct Training {
  RunSpec spec;
  std::unique_ptr<DetectionModel> model;
  std::unique_ptr<Communicator> communicator = make_single_communicator();
  Tracer tracer;
  std::unique_ptr<TrainStep> step;
  at::Tensor initial;  ///< Model state before the first step, in named order.
};

constexpr int kSteps = 5;

/// The floating state as one tensor in the order of its names: flat buffers of a GPU are laid out channels-last.
at::Tensor named_order(DetectionModel& model, const at::Tensor& flat) {
  std::vector<at::Tensor> parts;
  for (const StateSlice& slice : flat_state_layout(model.state())) {
    parts.push_back(entry_view(flat, slice, model.state()[slice.entry].tensor).detach().cpu().contiguous().flatten());
  }
  return at::cat(parts);
}

std::unique_ptr<Training> trained(const std::string& name, c10::Device device, std::vector<double>& losses) {
  auto training = std::make_unique<Training>();
  training->spec.model = name;
  training->spec.imgsz = kSize;
  training->spec.batch_size = kImages;
  training->model = model_of(name);
  training->step = std::make_unique<TrainStep>(training->spec, *training->model, *training->communicator, training->tracer, kSteps, device);
  training->initial = named_order(*training->model, training->step->model_state());
  training->step->begin_epoch(0);
  for (int i = 0; i < kSteps; ++i) {
    losses.push_back(training->step->run(batch_of(20 + static_cast<std::uint64_t>(i)), i).loss_total.item<double>());
  }
  return training;
}

void compare_training_steps(const std::string& name) {
  std::vector<double> our_losses, losses;
  const auto ours = trained(name, kGpu, our_losses), expected = trained(name, c10::Device(c10::DeviceType::CPU), losses);
  Deviations deviations;
  for (std::size_t i = 0; i < losses.size(); ++i) deviations.add("loss of a step", our_losses[i], losses[i], 0, kTolerance);
  deviations.print_and_check(name + " training steps, fp32");
  const auto moved = [](const Training& t, const at::Tensor& flat) { return named_order(*t.model, flat) - t.initial; };
  const at::Tensor weights = moved(*expected, expected->step->model_state());
  const std::string title = name + " training steps, fp32: change of the ", end = " after " + std::to_string(kSteps) + ", relative L2";
  report_and_check(title + "weights" + end, relative_l2(moved(*ours, ours->step->model_state()), weights), kTolerance, weights.numel());
  report_and_check(title + "averaged weights" + end,
                   relative_l2(moved(*ours, ours->step->ema_state()), moved(*expected, expected->step->ema_state())), kTolerance,
                   weights.numel());
  CHECK(ours->step->ema_updates() == expected->step->ema_updates());
  CHECK(ours->step->optimizer_steps() > 0);
}

/// A run of valbench-rank alone on GPU 0.
RunRecord run_alone(const std::filesystem::path& folder, const std::filesystem::path& data, AmpMode amp) {
  RunSpec spec;
  spec.scenario = "deterministic";
  spec.run_id = folder.filename().string();
  spec.data = data;
  spec.imgsz = 128;
  spec.epochs = 2;
  spec.batch_size = 8;
  spec.device = DeviceKind::cuda;
  spec.device_ids = {0};
  spec.amp = amp;
  spec.deterministic = true;
  spec.workers = 2;
  spec.folder = folder;
  std::filesystem::create_directories(folder);
  write_run_spec(spec, folder / "spec.json");
  const CapturedRun run = run_captured({built("src/main/valbench-rank").string(), "--spec", (folder / "spec.json").string()}, 300);
  INFO(run.output);
  REQUIRE(run.exit.ok());
  return read_run_record(folder / "run.json");
}

}  // namespace

TEST_CASE("a forward pass on a GPU in fp32 agrees with the CPU's within 1e-3; fp16's and bf16's distance is printed") {
  if (const std::string reason = no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  const FullPrecision full;
  for (const char* name : {"yolov5n", "yolov5s"}) compare_forward(name);
}

TEST_CASE("loss, gradients and running statistics of a training pass on a GPU in fp32 agree with the CPU's within 1e-3") {
  if (const std::string reason = no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  const FullPrecision full;
  for (const char* name : {"yolov5n", "yolov5s"}) compare_training_pass(name);
}

TEST_CASE("training steps on a GPU in fp32 lead to the CPU's weights and averaged weights within 1e-3") {
  if (const std::string reason = no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  const FullPrecision full;
  for (const char* name : {"yolov5n", "yolov5s"}) compare_training_steps(name);
}

TEST_CASE("two deterministic trainings on a GPU are equal bit for bit, in fp32, fp16 and bf16") {
  if (const std::string reason = no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  if (built("src/main/valbench-rank").empty()) VB_SKIP("valbench-rank is not built");
  const ScratchFolder scratch;
  const auto data = scratch.path() / "data";
  make_synthetic_dataset({.train_images = 48, .val_images = 16}, data);
  for (const AmpMode amp : {AmpMode::off, AmpMode::fp16, AmpMode::bf16}) {
    INFO(to_string(amp));
    const RunRecord first = run_alone(scratch.path() / (to_string(amp) + "-1"), data / "data.yaml", amp);
    const RunRecord second = run_alone(scratch.path() / (to_string(amp) + "-2"), data / "data.yaml", amp);
    REQUIRE(first.train_checksums.size() == 2);
    CHECK(first.train_checksums == second.train_checksums);
    REQUIRE(first.validations.size() == 2);
    CHECK(first.validations.back().weights_checksum == second.validations.back().weights_checksum);
    CHECK(first.validations.back().map50_95 == second.validations.back().map50_95);
    CHECK(first.validations.back().loss == second.validations.back().loss);
  }
}
