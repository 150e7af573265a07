// What `valbench train --help` lists.
#include "scenario/train_options.h"

namespace valbench {

const std::vector<TrainOption>& train_options() {
  constexpr auto kValue = OptionKind::value, kFlag = OptionKind::flag;
  static const std::vector<TrainOption> options = {
      {"weights", "", kValue, "", "",
       "Weights to start from, .pt of YOLOv5 or .safetensors; '' = random. Nothing is downloaded, so unlike YOLOv5's "
       "yolov5s.pt the default is ''"},
      {"cfg", "", kValue, "", "",
       "Model: yolov5n ... yolov5x, or a model YAML; '' = the model of the weights, without weights yolov5s"},
      {"data", "", kValue, "", "", "data.yaml of the data set (`valbench synth` makes one); always needed"},
      {"hyp", "", kValue, "scratch-low", "", "Hyperparameters: scratch-low, VOC, ... or a YAML file"},
      {"epochs", "", kValue, "100", "", "Epochs in all"},
      {"batch_size", "--batch", kValue, "16", "", "Images per step over all ranks; -1 = as many as one GPU holds, 16 on a CPU"},
      {"imgsz", "--img,--img-size", kValue, "640", "", "Image size, pixels; rounded up to a multiple of the stride"},
      {"rect", "", kFlag, "false", "", "Rectangular training batches: no mosaic, no shuffling"},
      {"resume", "", OptionKind::optional_value, "false", "true",
       "Continue a training: a checkpoint (default: the newest weights/last.* under --project). Its opt.yaml gives the "
       "options; --data, --device, --ranks, --workers and --epochs may be given anew"},
      {"resume_exact", "", OptionKind::optional_value, "false", "true",
       "As --resume, but with weights in full precision, gradient scaler and early stopping restored: on CPUs equal to a run never stopped"},
      {"nosave", "", kFlag, "false", "", "Only the final epoch leaves checkpoints"},
      {"noval", "", kFlag, "false", "", "Validate only the final epoch"},
      {"noautoanchor", "", kFlag, "false", "", "Keep the model's anchors"},
      {"noplots", "", kFlag, "false", "", "No pictures"},
      {"cache", "", OptionKind::optional_value, "none", "ram", "Keep decoded images: ram (when bare), disk, none"},
      {"image_weights", "", kFlag, "false", "", "Draw images by the mAP of their classes; one rank only"},
      {"device", "", kValue, "", "", "cpu, or GPUs: 0, or 0,1,2,3; '' = a GPU for each rank where there are any, else cpu"},
      {"multi_scale", "", kFlag, "false", "", "Every batch at 0.5 to 1.5 times --imgsz"},
      {"single_cls", "", kFlag, "false", "", "All labels are one class"},
      {"optimizer", "", kValue, "SGD", "", "SGD, Adam, AdamW"},
      {"sync_bn", "", kFlag, "false", "", "Batch statistics over all ranks; several GPUs only"},
      {"workers", "", kValue, "8", "", "Loader threads per rank, at most cores / ranks as in YOLOv5"},
      {"project", "", kValue, "runs/train", "", "Results go to PROJECT/NAME"},
      {"name", "", kValue, "exp", "", "Results go to PROJECT/NAME, then NAME2, NAME3, ...; `cfg` = the model's name"},
      {"exist_ok", "", kFlag, "false", "", "Write into PROJECT/NAME even if it is there"},
      {"quad", "", kFlag, "false", "", "Four images collated into one"},
      {"cos_lr", "", kFlag, "false", "", "Cosine instead of linear learning rate"},
      {"label_smoothing", "", kValue, "0.0", "", "0 to below 1"},
      {"patience", "", kValue, "100", "", "Epochs without a better fitness before training stops; 0 = never"},
      {"freeze", "", OptionKind::list, "0", "", "N = the first N layers, or a list of layers: --freeze 0 1 2"},
      {"save_period", "", kValue, "-1", "", "Also keep a checkpoint every N epochs; -1 = no"},
      {"seed", "", kValue, "0", "", "Of weights, order and augmentation"},
      {"compat", "", kValue, "v7.0", "", "Where YOLOv5 v7.0 and today's differ: v7.0, head"},
      {"amp", "", kValue, "auto", "", "Mixed precision: auto (fp16 on GPUs), off, fp16, bf16"},
      {"deterministic", "", kFlag, "false", "", "Two runs equal bit for bit"},
      {"ranks", "", kValue, "", "", "Processes, one per GPU or share of the cores; '' = as many as --device names, else 1"},
      {"placement", "", kValue, "rank0", "",
       "Who validates: rank0 (YOLOv5), sharded (all ranks), dedicated (the last rank alone), overlapped (rank 0, beside training), "
       "deferred (all ranks, after it), none"},
      {"val_interval", "", kValue, "1", "", "Validate every N epochs, and the final one"},
  };
  return options;
}

}  // namespace valbench
