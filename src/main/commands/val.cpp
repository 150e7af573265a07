#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "base/clock.h"
#include "base/error.h"
#include "base/path_kind.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/subprocess.h"
#include "data/yolo_dataset.h"
#include "launch/increment_path.h"
#include "launch/launcher.h"
#include "launch/rank_process.h"
#include "main/commands/metrics_table.h"
#include "main/commands/val.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

constexpr int kRunFailed = 4, kInterrupted = 130;

ValTask task_of(const std::string& name) {
  if (const auto task = enum_from_name<ValTask>(name)) return *task;
  if (name == "study") {
    throw InputError(
        "--task study: not offered, as it is only a loop over image sizes. Run --task val once for each --imgsz from 256 to 1536 in steps "
        "of 128");
  }
  throw InputError("--task " + name + ": unknown task. Allowed: train, val, test, speed");
}

void check_range(const char* option, double value, double low, double high, const char* allowed) {
  if (value >= low && value <= high) return;
  throw InputError(fmt::format("{} {:g}: out of range. Allowed: {}", option, value, allowed));
}

/// `cpu`, or GPU numbers such as `0` or `0,1`; nothing = GPU 0 where there is one.
void set_device(const ValOptions& options, const Machine& machine, ValSpec& spec) {
  const bool automatic = options.device.empty();
  spec.ranks = options.ranks > 0 ? options.ranks : 1;
  if (options.device == "cpu" || (automatic && machine.gpus == 0)) return;
  std::vector<int> ids;
  std::istringstream in(automatic ? "0" : options.device);
  for (std::string word; std::getline(in, word, ',');) {
    const bool number = !word.empty() && word.size() < 4 && word.find_first_not_of("0123456789") == std::string::npos;
    if (!number) throw InputError("--device " + options.device + ": unknown device. Allowed: cpu, or GPU numbers such as 0 or 0,1");
    ids.push_back(std::stoi(word));
    if (ids.back() >= machine.gpus) {
      throw InputError(fmt::format("--device {}: there is no GPU {}: {} here{}. Use --device cpu", options.device, ids.back(), machine.gpus,
                                   machine.gpu_note.empty() ? "" : " (" + machine.gpu_note + ")"));
    }
  }
  if (options.ranks <= 0) spec.ranks = static_cast<int>(ids.size());
  for (int gpu = 1; automatic && gpu < std::min(spec.ranks, machine.gpus); ++gpu) ids.push_back(gpu);
  spec.device = DeviceKind::cuda;
  for (int rank = 0; rank < spec.ranks; ++rank) spec.device_ids.push_back(ids[static_cast<std::size_t>(rank) % ids.size()]);
}

void apply_task(ValSpec& spec) {
  if (spec.task != ValTask::speed) return;
  spec.conf_thres = 0.25;
  spec.iou_thres = 0.45;
  spec.shape = BatchShape::square;
  spec.half = spec.device == DeviceKind::cuda;
  spec.plots = false;
}

void check_options(const ValOptions& options, const ValSpec& spec) {
  check_range("--imgsz", spec.imgsz, 32, 16384, "32 to 16384");
  check_range("--batch-size", spec.batch_size, 1, 1e6, "an integer from 1 up");
  check_range("--conf-thres", spec.conf_thres, 0, 1, "0 to 1");
  check_range("--iou-thres", spec.iou_thres, 0, 1, "0 to 1");
  check_range("--max-det", spec.max_det, 1, 1e6, "an integer from 1 up");
  check_range("--workers", options.workers, 0, 1024, "0 to 1024");
  check_range("--ranks", options.ranks, 0, 1024, "an integer from 1 up");
  check_range("--threads", options.threads, 0, 1024, "an integer from 1 up");
  if (options.save_hybrid) {
    throw InputError("--save-hybrid: not offered: it adds the labels to the detections, and precision and recall would then score the labels "
                     "themselves. Use --save-txt");
  }
  if (spec.half && spec.device == DeviceKind::cpu) {
    throw InputError("--half needs a GPU: on a CPU fp16 convolutions are slower than fp32 and YOLOv5 does not use them. Leave it out, or "
                     "name a GPU with --device");
  }
  if (!is_file(spec.weights)) {
    throw InputError(spec.weights.string() + ": no such weights file. Give a .pt or .safetensors file with --weights");
  }
}

ValSpec spec_of(const ValOptions& options, const Machine& machine) {
  ValSpec spec = options.spec;
  spec.task = task_of(options.task);
  spec.weights = fs::absolute(spec.weights).lexically_normal();
  spec.data = fs::absolute(spec.data).lexically_normal();
  set_device(options, machine, spec);
  apply_task(spec);
  check_options(options, spec);
  const int share = std::max(1, machine.cores / spec.ranks);
  spec.torch_threads = options.threads > 0 ? options.threads : share;
  spec.workers = std::clamp(options.workers, 1, std::min(share, spec.batch_size));
  return spec;
}

/// The message of the first rank that wrote one.
std::string first_message(const RunSpec& layout) {
  for (int rank = 0; rank < layout.ranks; ++rank) {
    if (const std::string message = error_message(layout, rank); !message.empty()) return message;
  }
  return {};
}

int finish(const LaunchResult& result, const ValSpec& spec, const NewFolder& folder) {
  if (result.status == RunStatus::interrupted) {
    folder.remove();
    log_note("stopped. Nothing is kept");
    return kInterrupted;
  }
  if (result.bad_input) {
    const std::string message = first_message(rank_layout(spec));
    folder.remove();
    throw InputError(message.empty() ? result.failure : message);
  }
  if (result.status == RunStatus::failed) {
    log_error(result.failure);
    return kRunFailed;
  }
  print_metrics_warnings(spec.folder / kMetricsFile);
  print_metrics(spec.folder / kMetricsFile, spec.verbose);
  log_note("results: " + spec.folder.string());
  return 0;
}

}  // namespace

int run_val(const ValOptions& options) {
  ValSpec spec = spec_of(options, find_machine());
  read_data_config(spec.data);
  const auto program = checked_rank_program();
  const NewFolder folder = increment_path(options.project, options.name, options.exist_ok);
  spec.folder = folder.path;
  spec.name = folder.path.filename().string();
  fs::remove(spec.folder / kMetricsFile);
  remove_error_messages(spec.folder);
  write_val_spec(spec, spec.folder / kValSpecFile);
  LaunchResult result;
  {
    SignalWatch signals;
    Progress progress = Progress::on_stderr();
    const std::int64_t begin_ns = now_ns();
    const auto show = [&](const RankProgress& p) {
      const double done = static_cast<double>(p.batch) / std::max(1, p.batches), elapsed_s = seconds_between(begin_ns, now_ns());
      progress.update(done, done > 0 ? elapsed_s * (1 - done) / done : -1, fmt::format("{}  batch {}/{}", spec.name, p.batch, p.batches),
                      now_ns());
    };
    result = launch_run(rank_layout(spec), program, signals, show,
                        {.option = "--val", .spec_file = kValSpecFile, .result_file = kMetricsFile, .failure_record = false});
  }
  return finish(result, spec, folder);
}

void add_val_command(CLI::App& app, ValOptions& options, const std::function<void()>& on_call) {
  CLI::App* command = app.add_subcommand("val", "Validate weights on a data set, with YOLOv5's options and numbers");
  ValSpec& spec = options.spec;
  command->add_option("--data", spec.data, "data.yaml of the data set")->capture_default_str();
  command->add_option("--weights", spec.weights, "Weights file, .pt or .safetensors")->capture_default_str();
  command->add_option("--batch-size", spec.batch_size, "Images per batch")->capture_default_str();
  command->add_option("--imgsz,--img,--img-size", spec.imgsz, "Image size, pixels")->capture_default_str();
  command->add_option("--conf-thres", spec.conf_thres, "Smallest confidence")->capture_default_str();
  command->add_option("--iou-thres", spec.iou_thres, "IoU above which NMS suppresses")->capture_default_str();
  command->add_option("--max-det", spec.max_det, "Most detections per image")->capture_default_str();
  command->add_option("--task", options.task, "train, val, test or speed")->capture_default_str();
  command->add_option("--device", options.device, "cpu, or GPU numbers such as 0 or 0,1 (default: GPU 0 where there is one)");
  command->add_option("--workers", options.workers, "Loader threads per rank, at most its cores")->capture_default_str();
  command->add_flag("--single-cls", spec.single_cls, "Treat all classes as one");
  command->add_flag("--augment", spec.augment, "Test-time augmentation");
  command->add_flag("--verbose", spec.verbose, "A row for every class");
  command->add_flag("--save-txt", spec.save_txt, "Write the detections as labels/IMAGE.txt");
  command->add_flag("--save-hybrid", options.save_hybrid, "Not offered: see the message");
  command->add_flag("--save-conf", spec.save_conf, "Add the confidences to --save-txt");
  command->add_flag("--save-json", spec.save_json, "Write the detections as COCO's JSON");
  command->add_option("--project", options.project, "Folder of the runs")->capture_default_str();
  command->add_option("--name", options.name, "Name of the run; exp2, exp3 ... when it is taken")->capture_default_str();
  command->add_flag("--exist-ok", options.exist_ok, "Write into PROJECT/NAME also when it is there");
  command->add_flag("--half", spec.half, "fp16 on a GPU");
  command->add_option("--ranks", options.ranks, "Processes to share the images among (default: one per GPU of --device)");
  command->add_option("--threads", options.threads,
                      "Compute threads per rank (default: cores / ranks). Equal threads give equal bits for any number of ranks");
  command->callback(on_call);
}

}  // namespace valbench
