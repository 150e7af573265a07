#include "train/rank_job.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <thread>

#include "base/cache_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "data/data_loader.h"
#include "detect/detection_model.h"
#include "scenario/layer_table.h"
#include "scenario/rank_roles.h"
#include "train/checkpoint.h"
#include "train/closing_validation.h"
#include "train/deterministic.h"
#include "train/machine.h"
#include "train/prepare_model.h"
#include "train/rank_agreement.h"
#include "train/resume.h"
#include "train/run_assembly.h"
#include "train/settle_memory.h"
#include "train/strip_checkpoints.h"
#include "train/training_pictures.h"
#include "train/validator_job.h"
#include "validate/exactness.h"
#include "validate/make_strategy.h"

namespace valbench {
namespace {

/// Data sets, model and step of this rank. Members are built in order; later ones refer to earlier ones.
struct RankParts {
  std::shared_ptr<const YoloDataset> train_set, val_set;
  std::unique_ptr<DetectionModel> model;
  AnchorCheck anchors;  // on rank 0
  std::unique_ptr<DataLoader> loader;
  std::unique_ptr<TrainStep> step;
  std::unique_ptr<ExactnessEvidence> evidence;  // on rank 0
  ValidationMemory memory;
  std::unique_ptr<ValidationStrategy> validation;
  std::optional<TrainingState> resumed;
};

/// All ranks, and those of them that train: most often the same.
struct RankGroups {
  Communicator& world;
  Communicator& training;
};

RankGroups groups_of(const RunSpec& spec, Communicator& world) {
  std::vector<int> members;
  for (int rank = 0; rank < training_ranks(spec); ++rank) members.push_back(rank);
  const bool all = static_cast<int>(members.size()) == world.world_size();
  return {world, all ? world : world.make_group("training", members)};
}

ValidationContext context_of(const RunSpec& spec, const RankGroups& groups, Tracer& tracer, const RankParts& parts, c10::Device device) {
  ValidationContext context{spec, groups.training, tracer, parts.val_set, *parts.model, parts.step->loss(), device, &groups.world};
  context.evidence = parts.evidence.get();
  context.memory = parts.memory;
  return context;
}

std::unique_ptr<DataLoader> train_loader(const RunSpec& spec, const Communicator& communicator, const RankParts& parts,
                                         c10::Device device) {
  const TrainLoaderOptions options{.imgsz = spec.imgsz,
                                   .stride = size_multiple(*parts.model),
                                   .batch_size = spec.batch_size / communicator.world_size(),
                                   .rank = communicator.rank(),
                                   .world_size = communicator.world_size(),
                                   .seed = spec.seed,
                                   .augment = true,
                                   .hyp = spec.hyp,
                                   .rect = spec.rect,
                                   .quad = spec.quad,
                                   .image_weights = spec.image_weights,
                                   .compat = spec.compat,
                                   .workers = spec.workers,
                                   .cache = {spec.cache, user_cache_folder()},
                                   .pin_memory = device.is_cuda()};
  return make_train_loader(parts.train_set, options);
}

RankParts build(const RunSpec& spec, const RankGroups& groups, Tracer& tracer, c10::Device device) {
  Communicator& communicator = groups.training;
  RankParts parts;
  const DataConfig data = read_data_config(spec.data);
  const int scan_threads = std::max(1, spec.workers);
  const ScanOptions scan{user_cache_folder(), spec.single_cls};
  parts.train_set = std::make_shared<YoloDataset>(load_yolo_dataset(data, Split::train, scan_threads, scan));
  if (communicator.rank() == 0 || every_rank_validates(spec.validation)) {
    parts.val_set = std::make_shared<YoloDataset>(load_yolo_dataset(data, Split::val, scan_threads, scan));
  }
  agree_on_data(groups.world, parts.train_set.get(), parts.val_set.get());
  parts.model = build_model(spec, parts.train_set->classes);
  parts.resumed = load_resumed(spec, *parts.model);
  if (!parts.resumed && !spec.weights.empty()) load_start_weights(spec, *parts.model);
  if (communicator.rank() == 0) {
    parts.anchors = check_anchors(spec, *parts.train_set, *parts.model);
    if (!parts.anchors.sentence.empty()) log_note(parts.anchors.sentence);
  }
  parts.loader = train_loader(spec, communicator, parts, device);
  parts.step = std::make_unique<TrainStep>(spec, *parts.model, communicator, tracer,
                                           static_cast<std::int64_t>(parts.loader->batches()), device);
  if (parts.resumed) restore_step(spec, *parts.resumed, *parts.step);
  if (groups.world.rank() == 0) parts.evidence = std::make_unique<ExactnessEvidence>(spec.verify, spec.folder);
  if (&groups.training != &groups.world) share_initial_state(groups.world, parts.step->model_state());
  parts.memory = settle_validation_memory(context_of(spec, groups, tracer, parts, device));
  parts.validation = make_strategy(context_of(spec, groups, tracer, parts, device));
  return parts;
}

ExactnessRecord verify(const ValidationContext& context, const RankParts& parts, const RankResult& result) {
  if (result.validations.empty()) return ExactnessRecord::unchecked("not measured (placement none)");
  if (context.spec.verify == VerifyMode::none) return ExactnessRecord::unchecked("not measured (verify: none)");
  return check_exactness(context, *parts.evidence, result.validations, parts.step->ema_state());
}

void append(std::vector<std::string>& all, const std::vector<std::string>& more) { all.insert(all.end(), more.begin(), more.end()); }

std::vector<std::string> warnings_of(const RunSpec& spec, const RankParts& parts) {
  std::vector<std::string> all = spec.notices;
  append(all, parts.train_set->warnings);
  append(all, parts.val_set->warnings);
  append(all, parts.loader->warnings());
  if (parts.anchors.refitted) append(all, {parts.anchors.sentence});
  return all;
}

/// Before the first epoch: the ranks meet after it, so that no time of the training is spent here.
std::vector<std::string> draw_inputs(const RunSpec& spec, const RankParts& parts) {
  std::vector<std::string> warnings = draw_labels(*parts.train_set, spec.folder);
  append(warnings, draw_train_batches(*parts.train_set, *parts.loader, spec.folder));
  return warnings;
}

/// After the last epoch, on every rank that trains.
std::vector<std::string> close_training(const ValSpec& closing, Communicator& communicator, const RankParts& parts, c10::Device device,
                                        const RankResult& result, const ProgressSink& progress) {
  std::vector<std::string> warnings;
  const int last_epoch = result.epochs.empty() ? 0 : result.epochs.back().epoch;
  if (closing.plots && communicator.rank() == 0) append(warnings, draw_results(closing.folder));
  const auto show = [&](std::int64_t batch, std::int64_t batches) { progress(last_epoch, batch, batches, "closing"); };
  const ClosingContext context{closing, communicator, *parts.model, parts.val_set, device, parts.validation->validates(),
                               describe_machine(device), progress ? std::function<void(std::int64_t, std::int64_t)>(show) : nullptr};
  append(warnings, run_closing_validation(context));
  return warnings;
}

/// The end of a run, for ranks that train and ranks that do not: what was traced and measured comes together on rank 0.
std::vector<RankResult> bring_together(const RunSpec& spec, Communicator& world, RunInstruments& instruments, RankResult& result) {
  const TracedWindow window = instruments.finish();
  instruments.tracer().set_epoch(-1);  // Work is no longer counted in spans: plots and files have none.
  if (spec.profile) add_trace(world, window, result);
  return gather_results(world, result);
}

void validate_only(const RunSpec& spec, Communicator& world, RunInstruments& instruments, c10::Device device) {
  RankResult result = run_validator(spec, world, instruments.tracer(), device);
  bring_together(spec, world, instruments, result);
  world.barrier();  // Rank 0 still verifies.
}

}  // namespace

void run_rank_job(const RunSpec& spec, Communicator& communicator, c10::Device device, const ProgressSink& progress,
                  RunInstruments& instruments, const EpochSink& on_epoch,
                  const BatchSink& on_batch, const std::optional<ValSpec>& closing) {
  RunRecord record;
  record.begin_realtime_ns = realtime_ns();
  record.begin_monotonic_ns = now_ns();
  use_deterministic_algorithms(spec.deterministic);
  if (communicator.rank() >= training_ranks(spec)) return validate_only(spec, communicator, instruments, device);
  Tracer& tracer = instruments.tracer();
  const RankGroups groups = groups_of(spec, communicator);
  RankParts parts = build(spec, groups, tracer, device);
  std::filesystem::create_directories(spec.folder / "weights");
  const ValidationSchedule schedule(spec.validation, spec.epochs);
  TrainerParts trainer_parts{spec,     groups.training, tracer, *parts.step, *parts.loader, schedule, *parts.validation,
                             progress, parts.train_set->names, on_epoch};
  trainer_parts.on_batch = on_batch;
  if (parts.resumed) restore_loop(spec, *parts.resumed, trainer_parts);
  parts.resumed.reset();
  if (is_model_file(spec.model)) trainer_parts.model_yaml = read_file(spec.model);
  Trainer trainer(std::move(trainer_parts));
  if (&groups.training != &groups.world) communicator.barrier();  // The clock starts when those that only validate are ready too.
  record.startup_s = seconds_since_process_start();
  const bool draws = closing && closing->plots && communicator.rank() == 0;
  if (draws && spec.resume.empty()) record.warnings = draw_inputs(spec, parts);
  RankResult result = trainer.run();
  append(result.warnings, *parts.memory.warnings);
  parts.validation->close();
  const std::vector<RankResult> all = bring_together(spec, communicator, instruments, result);
  const bool writes = communicator.rank() == 0;
  if (writes) {
    record.spec = spec;
    record.machine = describe_machine(device);
    record.exactness = verify(context_of(spec, groups, tracer, parts, device), parts, result);
    append(record.warnings, warnings_of(spec, parts));
    assemble_record(all, record);
    write_run_record(record, spec.folder / "run.json");  // First: whatever fails from here on does not lose the training.
    strip_checkpoints(spec, parts.train_set->names);
  }
  // Ranks that only validate have left the group, and wait below.
  if (closing) {
    const std::vector<std::string> warnings = close_training(*closing, groups.training, parts, device, result, progress);
    append(record.warnings, warnings);
    if (writes && !warnings.empty()) write_run_record(record, spec.folder / "run.json");
  }
  communicator.barrier();  // No rank leaves while rank 0 still verifies: a closed store would look like a dead rank.
}

}  // namespace valbench
