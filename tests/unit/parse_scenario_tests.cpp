#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "scenario/scenario.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

/// A folder with a scenario.yaml of the given lines; gone at the end of the test.
class ScenarioFile {
 public:
  explicit ScenarioFile(const std::string& content) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    write_atomically(folder_ / "scenario.yaml", content);
  }
  ~ScenarioFile() { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder() const { return folder_; }
  Scenario parse(const std::vector<std::string>& overrides = {}, const Machine& machine = {4, 0, "no driver"}) const {
    std::vector<Override> parsed;
    for (const auto& text : overrides) parsed.push_back(parse_override(text));
    return parse_scenario(folder_ / "scenario.yaml", parsed, machine);
  }

 private:
  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / "valbench_scenario_test";
};

const std::string kGood =
    "name: good\ndata: synth\nimgsz: 96\nbatch_size: 16\nranks: 2\nepochs: 3\nbaseline: rank0\n"  // lines 1-7
    "strategies:\n  - {name: rank0}\n  - {name: sharded, placement: sharded}\n";                  // lines 8-10

/// kGood with one line more, which is line 11.
Scenario parse_with(const std::string& line, const std::vector<std::string>& overrides = {}) {
  return ScenarioFile(kGood + line + "\n").parse(overrides);
}

std::string error_of(const std::string& content, const std::vector<std::string>& overrides = {},
                     const Machine& machine = {4, 0, "no driver"}) {
  try {
    ScenarioFile(content).parse(overrides, machine);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("a scenario becomes specs with every default written out") {
  const Scenario s = ScenarioFile(kGood).parse();
  CHECK(s.name == "good");
  CHECK(s.synthetic);
  CHECK(s.rounds == 6);
  CHECK(s.baseline == "rank0");
  REQUIRE(s.strategies.size() == 2);
  CHECK(s.strategies[1].placement == Placement::sharded);
  CHECK(s.base.device == DeviceKind::cpu);
  CHECK(s.base.amp == AmpMode::off);
  CHECK(s.base.torch_threads == 2);
  CHECK(s.base.hyp.cls == 0.5);
  CHECK_FALSE(s.base.oversubscribed);
  CHECK(s.notices.empty());
}

TEST_CASE("an unknown key is answered with its line, the nearest key and all allowed ones") {
  const std::string error = error_of(kGood + "epoch: 3\n");
  CHECK_THAT(error, Contains("scenario.yaml:11: epoch = 3: unknown key, did you mean epochs?") &&
                        Contains("Allowed: name, model,"));
  CHECK_THAT(error_of(kGood + "validation:\n  intervall: 2\n"),
             Contains(":12: validation.intervall = 2: unknown key, did you mean interval?") && Contains("subset_seed"));
  CHECK_THAT(error_of(replaced(kGood, "placement: sharded", "place: sharded")),
             Contains(":10: strategies[1].place = sharded: unknown key") && Contains("placement"));
  CHECK_THAT(error_of(kGood + "synth: {images: 3}\n"), Contains("synth.images = 3: unknown key"));
  CHECK_THAT(error_of(kGood + "hyp: {lr: 3}\n"), Contains("hyp.lr = 3: unknown key"));
}

TEST_CASE("a repeated key is refused") {
  CHECK_THAT(error_of(kGood + "name: again\n"), Contains(":11:") && Contains("twice"));
}

TEST_CASE("a wrong type names file, line, key, value and what is allowed") {
  CHECK_THAT(error_of(replaced(kGood, "epochs: 3", "epochs: three")),
             Contains("scenario.yaml:6: epochs = three: wrong type. Allowed: an integer from 1 up"));
  CHECK_THAT(error_of(replaced(kGood, "epochs: 3", "epochs: 3.5")), Contains(":6: epochs = 3.5: wrong type"));
  CHECK_THAT(error_of(replaced(kGood, "epochs: 3", "epochs: [3]")), Contains(":6: epochs = [list]: wrong type"));
  CHECK_THAT(error_of(kGood + "cos_lr: 3\n"), Contains(":11: cos_lr = 3: wrong type. Allowed: true, false"));
  CHECK_THAT(error_of(kGood + "margin: much\n"), Contains(":11: margin = much: wrong type. Allowed: a number"));
  CHECK_THAT(error_of(kGood + "validation: 3\n"), Contains(":11: validation = 3: is not a map of keys"));
  CHECK_THAT(error_of(kGood + "axes: {shape: rect}\n"), Contains("axes.shape = rect: is not a list of values"));
  CHECK_THAT(error_of("- a\n- b\n"), Contains("scenario.yaml:1: is not a map"));
  CHECK_THAT(error_of("name: [a\n"), Contains("scenario.yaml:2: not YAML"));
}

TEST_CASE("impossible values are refused") {
  CHECK_THAT(error_of(replaced(kGood, "ranks: 2", "ranks: 0")), Contains(":5: ranks = 0: out of range"));
  CHECK_THAT(error_of(replaced(kGood, "ranks: 2", "ranks: 3")),
             Contains(":4: batch_size = 16: batch_size 16 cannot be dealt evenly to 3 ranks"));
  CHECK_THAT(error_of(kGood + "validation: {subset: 0}\n"),
             Contains(":11: validation.subset = 0: out of range. Allowed: a fraction in (0, 1]"));
  CHECK_THAT(error_of(kGood + "validation: {subset: 1.5}\n"), Contains("validation.subset = 1.5: out of range"));
  CHECK_THAT(error_of(kGood + "validation: {subset: -3}\n"), Contains("validation.subset = -3: out of range"));
  CHECK_THAT(error_of(kGood + "validation: {interval: 0}\n"),
             Contains("validation.interval = 0: out of range. Allowed: an integer from 1"));
  CHECK_THAT(error_of(kGood + "validation: {precision: fp8}\n"),
             Contains("unknown value. Allowed: auto, fp32, fp16, bf16"));
  CHECK_THAT(error_of(kGood + "rounds: 0\n"), Contains(":11: rounds = 0: out of range"));
  CHECK_THAT(error_of(kGood + "model: yolov7\n"), Contains("model = yolov7: unknown model. Allowed: yolov5n, yolov5s"));
  CHECK_THAT(error_of(kGood + "hyp: {mosaic: 2}\n"),
             Contains("hyp.mosaic = 2: out of range. Allowed: a number from 0 to 1"));
  CHECK_THAT(error_of(kGood + "hyp: voc\n"),
             Contains("hyp = voc: no such set or file") && Contains("scratch-low, scratch-med, scratch-high, VOC"));
  CHECK_THAT(error_of(kGood + "amp: fp16\n"), Contains("amp = fp16: mixed precision needs a GPU"));
  CHECK_THAT(error_of(kGood + "seed: 99999999999999999999\n"), Contains("seed") && Contains("out of range"));
}

TEST_CASE("two strategies of one name, none at all, and an unknown baseline are refused") {
  CHECK_THAT(error_of(replaced(kGood, "name: sharded", "name: rank0")),
             Contains(":10: strategies[1].name = rank0: two strategies"));
  CHECK_THAT(error_of(replaced(kGood, "baseline: rank0", "baseline: rank1")),
             Contains(":7: baseline = rank1: no strategy has this name. Allowed: rank0, sharded"));
  CHECK_THAT(error_of("data: synth\n"), Contains("strategies: is missing"));
  CHECK_THAT(error_of("data: synth\nstrategies: []\n"),
             Contains(":2: strategies = [list]: is not a list with entries"));
  CHECK_THAT(error_of("data: synth\nstrategies: [{placement: rank0}]\n"), Contains("strategies[0].name: is missing"));
}

TEST_CASE("missing data, weights and scenario files are refused with the path that was tried") {
  CHECK_THAT(error_of(replaced(kGood, "data: synth", "data: none/data.yaml")),
             Contains(":2: data = none/data.yaml: no such file") && Contains("valbench_scenario_test/none/data.yaml"));
  CHECK_THAT(error_of(replaced(kGood, "data: synth\n", "")), Contains("data: is missing. Allowed: synth, or"));
  CHECK_THAT(error_of(kGood + "weights: w.safetensors\n"), Contains(":11: weights = w.safetensors: no such file"));
  CHECK_THROWS_WITH(parse_scenario("/nonexistent/s.yaml", {}, {}), Contains("/nonexistent/s.yaml"));
}

TEST_CASE("GPUs are refused where there are too few, and shared only when asked for") {
  const Machine one{4, 1, ""}, two{4, 2, ""};
  CHECK_THAT(error_of(kGood + "device: cuda\n"), Contains(":11: device = cuda: there is no usable GPU: no driver"));
  CHECK_THAT(error_of(kGood, {}, one),
             Contains(":5: ranks = 2: 2 ranks need as many GPUs, there are 1") && Contains("share_gpu: true"));
  CHECK_THAT(error_of(kGood + "device: cuda:0,7\n", {}, two), Contains("there is no GPU 7"));
  CHECK_THAT(error_of(kGood + "device: cuda:x\n", {}, two), Contains("unknown device"));
  CHECK_THAT(error_of(kGood + "device: tpu\n", {}, two),
             Contains("unknown device. Allowed: auto, cpu, cuda, cuda:0,1"));
  CHECK(ScenarioFile(kGood + "share_gpu: true\n").parse({}, one).base.device_ids == std::vector<int>{0, 0});
  const Scenario s = ScenarioFile(kGood + "device: cuda:1,0\n").parse({}, two);
  CHECK(s.base.device_ids == std::vector<int>{1, 0});
  CHECK(s.base.amp == AmpMode::fp16);
  CHECK(ScenarioFile(kGood + "device: cpu\n").parse({}, two).base.device == DeviceKind::cpu);
}

TEST_CASE("imgsz is rounded up as YOLOv5 does, and said") {
  const Scenario s = ScenarioFile(replaced(kGood, "imgsz: 96", "imgsz: 100")).parse();
  CHECK(s.base.imgsz == 128);
  REQUIRE(s.notices.size() == 1);
  CHECK_THAT(s.notices[0], Contains("100") && Contains("128"));
  CHECK(ScenarioFile(replaced(kGood, "imgsz: 96", "imgsz: 32")).parse().base.imgsz == 64);
}

TEST_CASE("a subset is a fraction or a number of images") {
  CHECK(parse_with("validation: {subset: 0.25}").base.validation.subset_fraction == 0.25);
  CHECK(parse_with("validation: {subset: 64}").base.validation.subset_count == 64);
  const auto whole = parse_with("validation: {subset: 1}").base.validation;
  CHECK(whole.subset_fraction == 1.0);
  CHECK(whole.subset_count == 0);
}

TEST_CASE("more threads than cores are allowed, marked and said") {
  const Scenario s = parse_with("threads: 4");
  CHECK(s.base.oversubscribed);
  CHECK_THAT(s.notices.at(0), Contains("oversubscribed"));
}

TEST_CASE("a validation batch is auto, max or a number, and validation images may stay on the device") {
  const Scenario s = parse_with("axes: {batch_size: [auto, max, 32], cache: [auto, gpu]}");
  CHECK_FALSE(s.strategies[0].batch_max);
  CHECK(s.strategies[2].name == "rank0 batch_size=max cache=auto");
  CHECK(s.strategies[2].batch_max);
  CHECK(s.strategies[2].batch_size == 0);
  CHECK_FALSE(s.strategies[4].batch_max);
  CHECK(s.strategies[5].cache == ValidationCache::gpu);
  CHECK_THAT(error_of(kGood + "validation: {batch_size: most}\n"), Contains("validation.batch_size = most"));
}

TEST_CASE("axes multiply with the strategies and are checked like them") {
  const Scenario s = parse_with("axes: {batch_size: [auto, 32], precision: [fp32, bf16]}");
  REQUIRE(s.strategies.size() == 8);
  CHECK(s.strategies[7].name == "sharded batch_size=32 precision=bf16");
  CHECK(s.strategies[7].placement == Placement::sharded);
  CHECK(s.strategies[7].batch_size == 32);
  CHECK(s.strategies[7].precision == Precision::bf16);
  CHECK(s.baseline == "rank0 batch_size=auto precision=fp32");
  CHECK_THAT(error_of(kGood + "axes:\n  interval: [1, 0]\n"), Contains(":12: axes.interval = 0: out of range"));
  CHECK_THAT(error_of(kGood + "axes: {interval: [1, 1]}\n"), Contains("twice"));
}

TEST_CASE("hyperparameters come from a set, a file, or changes to one") {
  CHECK(parse_with("hyp: VOC").base.hyp.lr0 == 0.00334);
  const Scenario changed = parse_with("hyp: {base: VOC, lr0: 0.5}");
  CHECK(changed.base.hyp.lr0 == 0.5);
  CHECK(changed.base.hyp.box == 0.02);
  CHECK(changed.base.hyp_name == "VOC (changed)");
  CHECK(parse_with("hyp: VOC", {"hyp.lr0=0.25"}).base.hyp.lr0 == 0.25);
  const ScenarioFile file(kGood + "hyp: my.yaml\n");
  write_atomically(file.folder() / "my.yaml", "lr0: 0.125\n");
  CHECK(file.parse().base.hyp.lr0 == 0.125);
  write_atomically(file.folder() / "my.yaml", "lr0: 0.125\nmosaik: 1\n");
  CHECK_THROWS_WITH(file.parse(), Contains("my.yaml:2: mosaik = 1: unknown key, did you mean mosaic?"));
}

TEST_CASE("a model is one of ten names or a YAML file, and image sizes follow its largest stride") {
  CHECK(parse_with("model: yolov5s6").base.imgsz == 128);
  CHECK(parse_with("model: yolov5s6", {"imgsz=200"}).base.imgsz == 256);
  CHECK(parse_with("model: yolov5x").base.imgsz == 96);
  const ScenarioFile file(kGood + "model: net.yaml\n");
  CHECK_THROWS_WITH(file.parse(), Contains(":11: model = net.yaml: no such file"));
  write_atomically(file.folder() / "net.yaml",
                   "nc: 3\nanchors: 3\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\nhead:\n  - [[0], 1, Detect, [nc, anchors]]\n");
  CHECK(file.parse().base.model == (file.folder() / "net.yaml").string());
  write_atomically(file.folder() / "net.yaml", "nc: 3\nanchors: 3\nbackbone:\n  - [-1, 1, C2f, [16]]\nhead: []\n");
  CHECK_THROWS_WITH(file.parse(), Contains("net.yaml:4: layer 0 (C2f): unknown module"));
}

TEST_CASE("--set overrides the file, is checked alike, and its errors name the option") {
  const Scenario s =
      parse_with("validation: {interval: 3}", {"validation.interval=2", "synth.val_images=64", "rounds=2"});
  CHECK(s.strategies[0].interval == 2);
  CHECK(s.synth.val_images == 64);
  CHECK(s.rounds == 2);
  CHECK_THAT(error_of(kGood, {"validation.interval=0"}),
             Catch::StartsWith("--set validation.interval=0: out of range. Allowed:"));
  CHECK_THAT(error_of(kGood, {"epoch=4"}), Catch::StartsWith("--set epoch=4: unknown key, did you mean epochs?"));
  CHECK_THAT(error_of(kGood, {"epochs.x=4"}), Contains("--set epochs.x=4: epochs is not a map"));
  CHECK_THAT(error_of(kGood, {"epochs"}), Contains("--set epochs: no `=`"));
  CHECK_THAT(error_of(kGood, {"epochs=[1"}), Contains("--set epochs=[1: not a YAML value"));
}

TEST_CASE("paths of the file start at the file, paths of --set at the current folder") {
  const ScenarioFile file(replaced(kGood, "data: synth", "data: set/data.yaml"));
  std::filesystem::create_directories(file.folder() / "set");
  write_atomically(file.folder() / "set" / "data.yaml", "names: [a]\n");
  CHECK(file.parse().base.data == file.folder() / "set" / "data.yaml");
  const auto relative = std::filesystem::relative(file.folder() / "set" / "data.yaml");
  CHECK(file.parse({"data=" + relative.string()}).base.data == file.folder() / "set" / "data.yaml");
}

TEST_CASE("scenarios/README.md describes exactly the keys that the parser knows") {
  const std::filesystem::path source = std::getenv("VALBENCH_SOURCE");
  std::istringstream readme(read_file(source / "scenarios" / "README.md"));
  std::vector<std::string> described, known;
  std::string section;
  for (std::string line; std::getline(readme, line);) {
    if (line.starts_with("## Keys of `")) section = line.substr(12, line.find('`', 12) - 12) + ".";
    if (line.starts_with("## Keys at the top")) section = "";
    if (!line.starts_with("| `")) continue;
    described.push_back(section + line.substr(3, line.find('`', 3) - 3));
  }
  for (const auto& [part, keys] : scenario_keys()) {
    if (part == "strategies") continue;  // The keys of validation, and name.
    for (const auto& key : keys) known.push_back(part.empty() ? key : part + "." + key);
  }
  std::sort(described.begin(), described.end());
  std::sort(known.begin(), known.end());
  CHECK(described == known);
}

TEST_CASE("ranks on several hosts get the GPUs and cores of one, and are spread evenly") {
  const Machine two{8, 2, "", 2};
  const ScenarioFile four(kGood + "device: cuda\n");
  const RunSpec spread = four.parse({"ranks=4"}, two).base;
  CHECK(spread.device_ids == std::vector<int>{0, 1});
  CHECK(spread.torch_threads == 4);
  CHECK_FALSE(spread.oversubscribed);
  CHECK(four.parse({"ranks=4", "share_gpu=true"}, {8, 2, "", 1}).base.device_ids == std::vector<int>{0, 1, 0, 1});
  CHECK_THROWS_WITH(four.parse({"ranks=8"}, two), Contains("4 ranks need as many GPUs, there are 2"));
  CHECK_THROWS_WITH(four.parse({"ranks=1"}, two), Contains("1 ranks cannot be spread evenly over 2 hosts"));
}

TEST_CASE("hang_timeout 0 means that nobody watches the collectives, and less than a second is refused; overlap names who scores") {
  const ScenarioFile file(kGood);
  CHECK(file.parse().base.hang_timeout_s == 120);
  CHECK(file.parse({"hang_timeout=0"}).base.hang_timeout_s == 0);
  CHECK_THROWS_WITH(file.parse({"hang_timeout=0.5"}), Contains("hang_timeout") && Contains("0 (nobody watches), or 1 to 86400 seconds"));
  CHECK(file.parse().strategies.at(0).overlap == Overlap::rank0);
  CHECK(file.parse({"validation.overlap=sharded"}).strategies.at(0).overlap == Overlap::sharded);
  CHECK_THROWS_WITH(file.parse({"validation.overlap=all"}), Contains("overlap") && Contains("rank0") && Contains("sharded"));
}
