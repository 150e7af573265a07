// Options of `valbench train`: what run they ask for, what is refused, and the files that keep them.
#include "scenario/train_options.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using valbench::test::ScratchFolder;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

const Machine kTwoCores{.cores = 2, .gpus = 0, .gpu_note = "no driver"};
const Machine kFourGpus{.cores = 64, .gpus = 4, .gpu_note = ""};

/// A data.yaml that is there: parsing looks no further.
struct Options {
  ScratchFolder folder;
  std::string data = folder.write("data.yaml", "train: t\nval: v\nnames: [a]\n").string();
  TrainArguments arguments{{{"data", data}}, {}};

  Options& with(const std::string& name, const std::string& value) {
    arguments.given[name] = value;
    return *this;
  }
  RunSpec spec(const Machine& machine = kTwoCores) const { return parse_train_options(arguments, machine).base; }
  /// What parsing throws.
  std::string error(const Machine& machine = kTwoCores) const {
    try {
      parse_train_options(arguments, machine);
    } catch (const InputError& error) {
      return error.what();
    }
    return "nothing was refused";
  }
};

}  // namespace

TEST_CASE("without options a training has YOLOv5's defaults") {
  const RunSpec spec = Options().spec();
  CHECK(spec.model == "yolov5s");
  CHECK(spec.weights.empty());
  CHECK(spec.epochs == 100);
  CHECK(spec.batch_size == 16);
  CHECK(spec.imgsz == 640);
  CHECK(spec.cache == CacheMode::none);
  CHECK(spec.hyp.lr0 == 0.01);
  CHECK(spec.ranks == 1);
  CHECK(spec.validation.placement == Placement::rank0);
  CHECK(spec.validation.interval == 1);
  CHECK(spec.amp == AmpMode::off);
  CHECK(spec.verify == VerifyMode::none);
}

TEST_CASE("a rank gets at most its share of the cores as loader threads") {
  CHECK(Options().spec(kTwoCores).workers == 2);
  CHECK(Options().spec(kFourGpus).workers == 8);
  CHECK(Options().with("workers", "0").spec(kFourGpus).workers == 1);
  CHECK(Options().with("ranks", "2").spec(kTwoCores).workers == 1);
}

TEST_CASE("--device takes YOLOv5's spelling, and names as many ranks as GPUs") {
  const RunSpec all = Options().with("device", "2,3").spec(kFourGpus);
  CHECK(all.ranks == 2);
  CHECK(all.device_ids == std::vector<int>{2, 3});
  CHECK(all.amp == AmpMode::fp16);
  const RunSpec automatic = Options().with("ranks", "4").spec(kFourGpus);
  CHECK(automatic.device_ids == std::vector<int>{0, 1, 2, 3});
  CHECK(Options().with("device", "cpu").spec(kFourGpus).device == DeviceKind::cpu);
  CHECK_THAT(Options().with("device", "7").error(kFourGpus), Contains("--device 7: there is no GPU 7, this machine has 4"));
  CHECK_THAT(Options().with("device", "0").error(), Contains("--device 0: there is no usable GPU: no driver"));
}

TEST_CASE("--batch-size -1 is 16 with a note on a CPU, left to the rank on a GPU, and refused on several") {
  Options options;
  options.with("batch_size", "-1");
  const Scenario cpu = parse_train_options(options.arguments, kTwoCores);
  CHECK(cpu.base.batch_size == 16);
  REQUIRE(cpu.notices.size() == 1);
  CHECK_THAT(cpu.notices[0], Catch::StartsWith("--batch-size -1: batch 16"));
  CHECK(Options().with("batch_size", "-1").with("device", "1").spec(kFourGpus).batch_size == -1);
  CHECK_THAT(Options().with("batch_size", "-1").with("device", "0,1").error(kFourGpus), Catch::StartsWith("--batch-size -1 on 2 ranks"));
  CHECK_THAT(Options().with("batch_size", "-2").error(), Contains("--batch-size -2: out of range"));
}

TEST_CASE("names of YOLOv5's own files stand for the built-in model and hyperparameters") {
  CHECK(Options().with("cfg", "models/yolov5n.yaml").spec().model == "yolov5n");
  const RunSpec voc = Options().with("hyp", "data/hyps/hyp.VOC.yaml").spec();
  CHECK(voc.hyp_name == "VOC");
  CHECK(voc.hyp.lr0 == 0.00334);
}

TEST_CASE("--noval validates the final epoch alone, --val-interval every N epochs") {
  CHECK(Options().with("noval", "true").with("epochs", "30").spec().validation.interval == 30);
  CHECK(Options().with("val_interval", "5").spec().validation.interval == 5);
  const RunSpec sharded = Options().with("placement", "sharded").with("ranks", "2").spec();
  CHECK(sharded.validation.placement == Placement::sharded);
  CHECK(sharded.validation.name == "sharded");
}

TEST_CASE("what a sweep skips is an error of a single training") {
  Options options;
  const auto refusal = [&](const std::string& setting) {
    options.arguments.settings = {parse_override(setting)};
    return options.error();
  };
  CHECK_THAT(refusal("validation.cache=gpu"), Contains("--set validation.cache=gpu: cache gpu keeps batches on a GPU"));
  CHECK_THAT(refusal("validation.precision=fp16"), Contains("precision fp16 needs a GPU"));
  CHECK_THAT(refusal("validation.batch_size=max"),
             Contains("--set validation.batch_size=max: batch_size max fills a GPU's memory"));
  CHECK(options.spec(kFourGpus).validation.batch_max);
}

TEST_CASE("--set reaches every key of a scenario, and wins over the options") {
  Options options;
  options.arguments.settings = {parse_override("hyp.lr0=0.5"), parse_override("validation.ema=in_place")};
  const RunSpec spec = options.spec();
  CHECK(spec.hyp.lr0 == 0.5);
  CHECK(spec.validation.ema == EmaUse::in_place);
  options.arguments.settings = {parse_override("hyp.lr=0.5")};
  CHECK_THAT(options.error(), Contains("--set hyp.lr=0.5: unknown key"));
}

TEST_CASE("bad values are answered with the option, the reason and what is allowed") {
  CHECK_THAT(TrainArguments{}.value("epochs"), Catch::Equals("100"));
  CHECK_THAT(Options().with("data", "").error(), Contains("--data is missing") && Contains("valbench synth"));
  CHECK_THAT(Options().with("data", "none.yaml").error(), Contains("--data none.yaml: no such file"));
  CHECK_THAT(Options().with("weights", "yolov5s.pt").error(),
             Contains("--weights yolov5s.pt: no such file, and nothing is downloaded") && Contains("--cfg yolov5s"));
  CHECK_THAT(Options().with("epochs", "many").error(),
             Catch::Equals("--epochs many: wrong type. Allowed: an integer from 1 up"));
  CHECK_THAT(Options().with("batch_size", "5").with("ranks", "2").error(),
             Contains("--batch-size 5: batch_size 5 cannot be dealt evenly to 2 ranks"));
  Options two_of_three;
  two_of_three.with("placement", "dedicated").with("ranks", "3").with("batch_size", "9");
  CHECK_THAT(two_of_three.error(), Contains("--batch-size 9: batch_size 9 cannot be dealt evenly to the 2 ranks that train"));
  CHECK(two_of_three.with("batch_size", "12").error() == "nothing was refused");
  CHECK(two_of_three.with("batch_size", "16").error() == "nothing was refused");  // No multiple of 3.
  two_of_three.arguments.settings = {parse_override("validation.ema=in_place")};
  CHECK_THAT(two_of_three.error(), Contains("--set validation.ema=in_place: ema in_place rounds the weights"));
  CHECK_THAT(Options().with("placement", "dedicated").with("ranks", "1").error(), Contains("--ranks 1: strategy"));
  CHECK_THAT(Options().with("cfg", "yolov4").error(), Contains("--cfg yolov4: ") && Contains("yolov5n"));
  CHECK_THAT(Options().with("hyp", "none.yaml").error(), Contains("--hyp none.yaml: no such set or file"));
  CHECK_THAT(Options().with("placement", "rank1").error(), Contains("Allowed: none, rank0, sharded"));
}

TEST_CASE("hyp.yaml holds YOLOv5's keys with plain numbers") {
  CHECK_THAT(hyp_yaml({}), Catch::StartsWith("lr0: 0.01\nlrf: 0.01\nmomentum: 0.937\nweight_decay: 0.0005\n"
                                             "warmup_epochs: 3.0\nwarmup_momentum: 0.8\nwarmup_bias_lr: 0.1\nbox: 0.05\n") &&
                               Catch::EndsWith("mosaic: 1.0\nmixup: 0.0\ncopy_paste: 0.0\n"));
  CHECK_THAT(hyp_yaml({}), !Contains("anchors"));
  Hyperparameters voc = builtin_hyperparameters("VOC");
  CHECK_THAT(hyp_yaml(voc), Contains("anchors: 3.412\n"));
}

TEST_CASE("opt.yaml gives back the run that it was written from") {
  Options options;
  options.with("epochs", "7").with("cos_lr", "true").with("hyp", "VOC").with("cfg", "yolov5n").with("name", "it's #1");
  options.arguments.settings = {parse_override("validation.shape=square"), parse_override("hyp.lr0=0.25")};
  RunSpec spec = options.spec();
  spec.folder = "/somewhere/runs/train/exp";
  const fs::path file = options.folder.write("run/opt.yaml", opt_yaml(options.arguments, spec));
  std::vector<std::string> ignored;
  const TrainArguments read = read_opt_yaml(file, ignored);
  CHECK(ignored.empty());
  CHECK(read.value("name") == "it's #1");
  RunSpec again = parse_train_options(read, kTwoCores).base;
  again.folder = spec.folder;
  again.hyp_name = spec.hyp_name;
  CHECK(run_spec_to_json(again) == run_spec_to_json(spec));
}

TEST_CASE("an opt.yaml of Python YOLOv5 is read, and what valbench does not have is named") {
  const Options options;
  const fs::path file = options.folder.write(
      "opt.yaml", "weights: ''\ncfg: yolov5n.yaml\ndata: " + options.data +
                      "\nhyp:\n  lr0: 0.02\n  mosaic: 0.5\nepochs: 3\nbatch_size: 8\nimgsz: 64\nrect: false\nresume: false\n"
                      "evolve: null\nbucket: ''\ncache: null\ndevice: cpu\nfreeze:\n- 0\nsave_dir: runs/train/exp\n");
  std::vector<std::string> ignored;
  const RunSpec spec = parse_train_options(read_opt_yaml(file, ignored), kTwoCores).base;
  CHECK(ignored == std::vector<std::string>{"evolve", "bucket"});
  CHECK(spec.model == "yolov5n");
  CHECK(spec.epochs == 3);
  CHECK(spec.hyp.lr0 == 0.02);
  CHECK(spec.hyp.mosaic == 0.5);
  CHECK(spec.freeze.empty());
}
