// Input that valbench refuses: exit code 2, one sentence with the fix, and not one file written.
#include <algorithm>
#include <fstream>

#include "base/file.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// Lays `options` over the tiny scenario; the answer must hold all of `expected` and nothing may be written.
void check_refused(const SweepSandbox& sandbox, const std::vector<std::string>& options,
                   const std::vector<std::string>& expected) {
  const auto before = sandbox.listing();
  const Outcome outcome = sandbox.sweep(options);
  INFO(outcome.output);
  CHECK(outcome.code == 2);
  for (const std::string& part : expected) CHECK_THAT(outcome.output, Contains(part));
  CHECK(outcome.output.starts_with("error: "));
  CHECK(occurrences(outcome.output, "\n") == 1);
  CHECK(sandbox.listing() == before);
}

/// The tiny scenario with `line` in the place of the line that begins with the same key.
void check_refused_line(const std::string& line, const std::vector<std::string>& expected) {
  std::string text = kTinyScenario;
  const std::string key = line.substr(0, line.find(':') + 1);
  std::size_t begin = text.find("\n" + key);
  const std::size_t end = begin == std::string::npos ? begin : text.find('\n', begin + 1);
  if (begin == std::string::npos) {
    text += line + "\n";
    begin = text.rfind(line) - 1;
  } else {
    text.replace(begin + 1, end - begin - 1, line);
  }
  const auto number = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin) + 1, '\n') + 1;
  auto all = expected;
  all.push_back("scenario.yaml:" + std::to_string(number) + ": ");
  INFO(line);
  check_refused(SweepSandbox(text), {}, all);
}

const std::vector<std::string> kOwnData = {"--set", "data=set/data.yaml"};

}  // namespace

TEST_CASE("a misspelt or unknown key is answered with file, line and the allowed keys") {
  check_refused_line("epoch: 3", {"epoch = 3: unknown key, did you mean epochs?", "Allowed: name, model, weights"});
  check_refused_line("validation: {placment: sharded}",
                     {"validation.placment", "did you mean placement?", "Allowed: placement, shard, dedicated_ranks"});
  check_refused_line("synth: {images: 3}", {"synth.images = 3: unknown key", "Allowed: train_images, val_images"});
}

TEST_CASE("wrong types and impossible values are answered with what is allowed") {
  check_refused_line("epochs: many", {"epochs = many: wrong type. Allowed: an integer from 1 up"});
  check_refused_line("imgsz: [64]", {"imgsz = [list]: wrong type"});
  check_refused_line("ranks: 0", {"ranks = 0: out of range. Allowed: an integer from 1"});
  check_refused_line("batch_size: 5", {"cannot be dealt evenly to 2 ranks", "multiples of ranks"});
  check_refused_line("validation: {subset: 0}", {"validation.subset = 0: out of range", "a fraction in (0, 1]"});
  check_refused_line("validation: {interval: 0}", {"validation.interval = 0: out of range", "an integer from 1"});
  check_refused_line("device: tpu", {"device = tpu: unknown device. Allowed: auto, cpu"});
  check_refused_line("synth: {classes: 100}", {"synth.classes = 100: out of range. Allowed: an integer from 1 to 80"});
  check_refused_line("model: yolov4", {"model = yolov4: unknown model. Allowed: yolov5n"});
}

TEST_CASE("two strategies of one name and a baseline that does not exist are refused") {
  check_refused_line("baseline: rank1", {"baseline = rank1: no strategy has this name. Allowed: rank0, sharded"});
  const SweepSandbox twins(kTinyScenario + "  - {name: sharded}\n");
  check_refused(twins, {}, {"scenario.yaml:17: strategies[2].name = sharded: two strategies have this name"});
}

TEST_CASE("options of the command line are checked as the scenario is, and named") {
  const SweepSandbox sandbox;
  check_refused(sandbox, {"--set", "ranks=0"}, {"--set ranks=0: out of range"});
  check_refused(sandbox, {"--set", "validation.intervall=2"}, {"--set validation.intervall=2: unknown key", "interval"});
  check_refused(sandbox, {"--set", "epochs"}, {"--set epochs: no `=` in it"});
  check_refused(sandbox, {"--rounds", "0"}, {"--rounds 0: out of range"});
  CHECK(sandbox.valbench({"sweep", "scenario.yaml", "--bogus"}).code == 2);
  CHECK(sandbox.valbench({"bogus"}).code == 2);
  const Outcome missing = sandbox.valbench({"sweep", "none.yaml"});
  CHECK(missing.code == 2);
  CHECK_THAT(missing.output, Contains("none.yaml") && Contains("Give the path of a YAML file"));
}

TEST_CASE("a results folder that cannot be written is refused") {
  const SweepSandbox sandbox;
  sandbox.folder().write("a_file", "");
  const auto before = sandbox.listing();
  // In /proc nobody may make a folder, the superuser included.
  for (const std::string folder : {"a_file/results", "/proc/valbench_results"}) {
    const Outcome outcome = sandbox.valbench({"sweep", "scenario.yaml", "--out", folder});
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.output, Contains(folder + " is not writable") && Contains("Choose another one with --out DIR"));
  }
  CHECK(sandbox.listing() == before);
}

TEST_CASE("a data set that is missing, empty or without labels is refused") {
  const SweepSandbox sandbox;
  check_refused(sandbox, {"--set", "data=none/data.yaml"}, {"--set data=none/data.yaml: no such file", "data.yaml"});
  const fs::path data = sandbox.make_data("set");
  const auto with_yaml = [&](const std::string& train) {
    sandbox.folder().write("set/data.yaml", "train: " + train + "\nval: images/val\nnames: [a, b]\n");
  };
  with_yaml("images/nowhere");
  check_refused(sandbox, kOwnData, {"train: ", "images/nowhere does not exist", "Give a folder of images"});
  fs::create_directories(data / "images/empty");
  with_yaml("images/empty");
  check_refused(sandbox, kOwnData, {"no images in", "images/empty", "Expected .jpg"});
  sandbox.folder().write("set/none.txt", "");
  with_yaml("none.txt");
  check_refused(sandbox, kOwnData, {"no images in", "none.txt"});
  with_yaml("images/train");
  fs::rename(data / "labels", data / "elsewhere");
  check_refused(sandbox, kOwnData, {"no label files found; the first would be", "labels/train/", "at least one label"});
  fs::rename(data / "elsewhere", data / "labels");
  for (const auto& entry : fs::directory_iterator(data / "images/train")) std::ofstream(entry.path()) << "no image";
  check_refused(sandbox, kOwnData, {"none of 8 images can be used; the first: ", "cannot be decoded"});
}

TEST_CASE("a class outside of data.yaml's names is refused with file and line") {
  const SweepSandbox sandbox;
  const fs::path data = sandbox.make_data("set");
  const fs::path image = fs::directory_iterator(data / "images/val")->path();
  const std::string label = "labels/val/" + image.stem().string() + ".txt";
  sandbox.folder().write("set/" + label, "0 0.5 0.5 0.2 0.2\n2 0.5 0.5 0.1 0.1\n");
  check_refused(sandbox, kOwnData, {label + ":2: class 2 is out of range: data.yaml names 2 classes (0..1)", "Fix the label"});
}

TEST_CASE("weights that are missing, damaged or of another model size are refused") {
  const SweepSandbox sandbox;
  check_refused(sandbox, {"--set", "weights=none.safetensors"}, {"--set weights=none.safetensors: no such file"});
  sandbox.folder().write("text.safetensors", "these are no weights at all");
  check_refused(sandbox, {"--set", "weights=text.safetensors"}, {"is truncated, or neither a .pt nor a safetensors file", "yolov5n"});

  // A header as the format has it: length, JSON, then the tensors' bytes.
  const auto write = [&](const std::string& name, int channels, std::size_t bytes) {
    const std::size_t needed = static_cast<std::size_t>(channels) * 3 * 6 * 6 * 2;
    std::string json = "{\"model.0.conv.weight\":{\"dtype\":\"F16\",\"shape\":[" + std::to_string(channels) +
                       ",3,6,6],\"data_offsets\":[0," + std::to_string(needed) + "]}}";
    json.resize(128, ' ');
    sandbox.folder().write(name, std::string("\x80\0\0\0\0\0\0\0", 8) + json + std::string(std::min(bytes, needed), '\0'));
  };
  write("cut.safetensors", 16, 1000);
  check_refused(sandbox, {"--set", "weights=cut.safetensors"}, {"is truncated: its tensors take 3456 bytes, 1000 are there"});
  write("small.safetensors", 32, 100'000);
  check_refused(sandbox, {"--set", "weights=small.safetensors"},
                {"holds weights of yolov5s, but model is yolov5n", "a complete .pt or .safetensors file of yolov5n"});
}
