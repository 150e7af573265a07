/// \file
/// One training run with every default written out: what the controller hands to the ranks as spec.json.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace valbench {

/// Where validation runs. A new value is one enumerator, one row in enum_names.h, one line in make_strategy.
enum class Placement { none, rank0, sharded, dedicated, overlapped, deferred };
/// Number format of validation's forward pass. `automatic`: fp16 where training uses AMP, else fp32 (YOLOv5).
enum class Precision { automatic, fp32, fp16, bf16 };
/// Shape of validation batches: rect (minimal padding + 0.5 stride, YOLOv5) or square.
enum class BatchShape { rect, square };
/// Score a copy of the EMA (default), or the EMA itself, which fp16 validation rounds (YOLOv5 v7.0).
enum class EmaUse { copy, in_place };
/// How a sharded validation is dealt out: whole batches in turn, whole batches balanced by their pixels, or single images padded to
/// equal shares by repetition (what DistributedSampler does: inexact, there to show the error).
enum class ShardMode { batches, batches_balanced, images_padded };
/// Who scores a snapshot beside training (placement overlapped): rank 0 alone, or all ranks, as `shard` deals.
enum class Overlap { rank0, sharded };
/// Metrics are computed before training goes on, or by a thread beside it.
enum class ScoreMode { blocking, background };
/// Loader of the validation images: kept for the whole run (YOLOv5), or made anew for each validation.
enum class LoaderLife { persistent, per_validation };
/// Where decoded, resized validation images are kept: as training's, nowhere, in memory, or as whole batches on the device.
enum class ValidationCache { automatic, none, ram, gpu };
/// Which validations the exactness gate scores again, off the clock.
enum class VerifyMode { last, all, none };
/// When gradients are averaged over ranks: on every micro-batch (YOLOv5) or once per optimizer step.
enum class GradientSync { micro_batch, step };
/// What one process per rank runs on.
enum class DeviceKind { cpu, cuda };
/// Mixed precision of training: off on CPUs, fp16 with gradient scaling on GPUs (YOLOv5).
enum class AmpMode { off, fp16, bf16 };
/// Optimizers of YOLOv5 (reference yolov5.md §4.1).
enum class OptimizerKind { sgd, adam, adamw };
/// Where resized images are kept after first use: nowhere, in memory, or in files of valbench's own cache folder.
enum class CacheMode { none, ram, disk };
/// Which YOLOv5 is followed where v7.0 and today's HEAD differ (reference yolov5.md §11).
enum class Compat { v7_0, head };

/// A validation strategy: the axes of design §5. Names and defaults are those of scenarios/README.md.
struct ValidationSpec {
  std::string name = "rank0";  ///< Unique in the scenario; shown in tables.
  Placement placement = Placement::rank0;
  ShardMode shard = ShardMode::batches;
  Overlap overlap = Overlap::rank0;
  int dedicated_ranks = 1;       ///< placement dedicated: this many of the ranks only validate.
  int interval = 1;              ///< Validate every N epochs; the final epoch always.
  int start_epoch = 0;           ///< First epoch that may be validated, but for the final one.
  int dense_last = 0;            ///< Every one of the last N epochs is validated.
  double time_share = 0;         ///< Adapts the interval so that validation stays under this share of the time; 0 = off.
  double subset_fraction = 1.0;  ///< Share of the validation images, in (0, 1]; used when subset_count is 0.
  std::int64_t subset_count = 0;  ///< Number of validation images; 0 = by fraction.
  std::uint64_t subset_seed = 0;
  int batch_size = 0;  ///< Images per validation batch; 0 = auto, twice the per-rank training batch (YOLOv5).
  bool batch_max = false;  ///< batch_size: max, the largest power of two that fits the GPU's memory; batch_size is 0 then.
  Precision precision = Precision::automatic;
  BatchShape shape = BatchShape::rect;
  EmaUse ema = EmaUse::copy;
  bool loss = true;  ///< Also compute the validation loss.
  bool plots = false;      ///< Draw the curves and the confusion matrix of every validation.
  bool save_json = false;  ///< Write the detections of every validation in COCO's form.
  ScoreMode score = ScoreMode::blocking;
  int score_threads = 0;   ///< Threads for NMS and metrics; 0 = as many as training's per rank.
  LoaderLife loader = LoaderLife::persistent;
  ValidationCache cache = ValidationCache::automatic;
  int workers = 0;   ///< Loader threads per rank; 0 = the same as training.
};

/// Training hyperparameters by YOLOv5's names (reference yolov5.md §3); defaults are scratch-low.
struct Hyperparameters {
  double lr0 = 0.01, lrf = 0.01, momentum = 0.937, weight_decay = 0.0005;
  double warmup_epochs = 3.0, warmup_momentum = 0.8, warmup_bias_lr = 0.1;
  double box = 0.05, cls = 0.5, cls_pw = 1.0, obj = 1.0, obj_pw = 1.0, iou_t = 0.20, anchor_t = 4.0, fl_gamma = 0.0;
  double anchors = 0.0;  ///< Anchors per level from AutoAnchor; 0 = the model's own.
  double hsv_h = 0.015, hsv_s = 0.7, hsv_v = 0.4;
  double degrees = 0.0, translate = 0.1, scale = 0.5, shear = 0.0, perspective = 0.0;
  double flipud = 0.0, fliplr = 0.5, mosaic = 1.0, mixup = 0.0, copy_paste = 0.0;
};

/// Most classes that a SyntheticSpec may ask for.
inline constexpr int kMostSyntheticClasses = 80;

/// Options of the synthetic data set (`valbench synth`, or `data: synth` in a scenario). Deterministic by seed.
struct SyntheticSpec {
  int train_images = 128, val_images = 256;
  int classes = 3;
  int width = 128, height = 96;     ///< Size of the largest images, pixels; aspect ratios vary around it when `vary` is set.
  bool vary = true;                 ///< Several aspect ratios, as in COCO; off = all images width × height.
  double objects_per_image = 4.0;   ///< Mean; geometric distribution, a few backgrounds without any.
  int quality = 90;                 ///< JPEG quality 1..100.
  std::uint64_t seed = 0;
};

/// One run: what is trained, on how many ranks, under which strategy. Paths are absolute.
struct RunSpec {
  int schema_version = 1;
  std::string scenario;  ///< Scenario name.
  std::string run_id;    ///< Folder name of the run, unique in the sweep: `r02-sharded`.
  int round = 0;         ///< 0-based.
  int order = 0;         ///< Position in the sweep's shuffled order.

  std::string model = "yolov5n";
  std::filesystem::path weights;  ///< Empty: random initialisation.
  /// The model's anchors stay where weights bring others: `train --cfg`, as in YOLOv5 (reference yolov5.md §1.8).
  bool keep_anchors = false;
  std::filesystem::path data;     ///< data.yaml of the data set.
  int imgsz = 640;
  int epochs = 3;
  int batch_size = 16;  ///< Over all ranks (YOLOv5).
  int ranks = 1;
  DeviceKind device = DeviceKind::cpu;
  /// GPU of each rank of one host, by its place there; empty on CPUs. Equal ids = a shared GPU: timings not comparable.
  std::vector<int> device_ids;
  std::uint64_t seed = 0;
  std::string hyp_name = "scratch-low";
  Hyperparameters hyp;
  bool cos_lr = false;
  double label_smoothing = 0.0;
  int workers = 1;             ///< Loader threads per rank for training.
  int torch_threads = 1;       ///< Intra-op threads per rank.
  AmpMode amp = AmpMode::off;
  GradientSync gradient_sync = GradientSync::micro_batch;
  CacheMode cache = CacheMode::ram;  ///< What becomes of decoded, resized images after first use.
  OptimizerKind optimizer = OptimizerKind::sgd;
  std::vector<int> freeze;     ///< Layers whose parameters do not train; empty = none.
  bool single_cls = false;     ///< All labels are class 0.
  bool sync_bn = false;        ///< Batch statistics over all ranks; GPUs only, as in YOLOv5.
  bool multi_scale = false;    ///< Every batch resized to 0.5 .. 1.5 times imgsz.
  bool rect = false;           ///< Rect training batches: no mosaic, no shuffling.
  bool quad = false;           ///< Four images collated into one, loss times 4.
  bool image_weights = false;  ///< Images drawn by the mAP of their classes; one rank only.
  bool autoanchor = true;      ///< Check the anchors against the labels before training, and refit them if needed (§1.10).
  bool deterministic = false;  ///< Two runs equal bit for bit; GPUs pay for it.
  int patience = 0;            ///< Epochs without a better fitness before training stops; 0 = never.
  int save_period = -1;        ///< Also keep epoch{N}; -1 = no.
  std::filesystem::path resume;  ///< Checkpoint to go on from; empty = start anew.
  bool resume_exact = false;     ///< Go on as if it had never stopped: full precision, gradient scaler, early stopping too.
  Compat compat = Compat::v7_0;
  bool save_checkpoints = true;
  bool nosave = false;         ///< Only the final epoch leaves checkpoints.
  bool oversubscribed = false; ///< More compute threads than cores: no verdict.
  bool profile = false;        ///< Traced run (spans to trace.json, CUPTI on GPUs); never enters a verdict.
  VerifyMode verify = VerifyMode::last;  ///< Re-score snapshots by rank 0 and in full fp32, off the clock.
  double hang_timeout_s = 120; ///< A rank that waits longer in one collective ends the run with a report of who waits for whom.
  ValidationSpec validation;
  std::filesystem::path folder;  ///< Run folder; exists, holds spec.json.
  std::vector<std::string> notices;  ///< What parsing changed or warns of; the record's warnings begin with them.
};

/// The name of a value in scenarios and records: `rank0`.
std::string to_string(Placement);
std::string to_string(Precision);
std::string to_string(BatchShape);
std::string to_string(EmaUse);
std::string to_string(ShardMode);
std::string to_string(Overlap);
std::string to_string(ScoreMode);
std::string to_string(LoaderLife);
std::string to_string(ValidationCache);
std::string to_string(VerifyMode);
std::string to_string(GradientSync);
std::string to_string(DeviceKind);
std::string to_string(AmpMode);
std::string to_string(OptimizerKind);
std::string to_string(CacheMode);
std::string to_string(Compat);

/// The hyperparameters of a built-in set such as `scratch-low` or `VOC`. Throws InputError that lists the names.
Hyperparameters builtin_hyperparameters(const std::string& name);

/// spec.json, every field written. Written by rename.
void write_run_spec(const RunSpec& spec, const std::filesystem::path& file);
/// Reads spec.json. Throws RecordError that names the file and the field.
RunSpec read_run_spec(const std::filesystem::path& file);
std::string run_spec_to_json(const RunSpec& spec);
RunSpec run_spec_from_json(const std::string& text);

}  // namespace valbench
