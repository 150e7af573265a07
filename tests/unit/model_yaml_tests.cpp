#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "scenario/model_yaml.h"
#include "scenario/read_hyp.h"
#include "scenario/spec_fields.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

const std::string kHead =
    "nc: 80\ndepth_multiple: 0.33\nwidth_multiple: 0.5\nanchors: [[10,13, 16,30]]\n"  // lines 1-4
    "backbone:\n  - [-1, 1, Conv, [32, 3, 2]]\n";                                     // layer 0, line 6

/// kHead with one row for layer 1, which is line 7, and a Detect.
std::string network(const std::string& row) { return kHead + "  - " + row + "\nhead:\n  - [[1], 1, Detect, [nc, anchors]]\n"; }

std::string error_of(const std::string& text, Compat compat = Compat::v7_0) {
  try {
    plan_layers(parse_model_yaml(text, "net.yaml", compat), 3);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::filesystem::path source() { return std::getenv("VALBENCH_SOURCE"); }

}  // namespace

TEST_CASE("every built-in model has a plan, P6 with a stride of 64") {
  CHECK(builtin_models().size() == 10);
  for (const std::string& name : builtin_models()) {
    const LayerPlan plan = plan_layers(model_table(name, Compat::v7_0), 80);
    const bool p6 = name.ends_with("6");
    CHECK(plan.strides == (p6 ? std::vector<int>{8, 16, 32, 64} : std::vector<int>{8, 16, 32}));
    CHECK(size_multiple(plan) == (p6 ? 64 : 32));
    CHECK(plan.layers.size() == (p6 ? 34 : 25));
  }
  CHECK_THROWS_WITH(model_table("yolov7", Compat::v7_0), Contains("yolov7") && Contains("yolov5x6"));
}

TEST_CASE("a YAML file with YOLOv5's rows plans as the built-in table does") {
  const LayerTable table = parse_model_yaml(network("[-1, 9, C3, [64, False]]"), "net.yaml", Compat::v7_0);
  CHECK(table.rows.size() == 3);
  CHECK(table.rows[1].line == 7);
  CHECK_FALSE(table.rows[1].shortcut);
  const LayerPlan plan = plan_layers(table, 3);
  CHECK(plan.layers[0].row.channels == 16);
  CHECK(plan.layers[1].row.channels == 32);
  CHECK(plan.layers[1].row.repeats == 3);
  CHECK(plan.strides == std::vector<int>{2});
}

TEST_CASE("widths round up to 8 in v7.0 and to channel_multiple in today's YOLOv5; Detect's own width stays") {
  const std::string text = network("[-1, 1, Conv, [20, 3, 2]]") + "channel_multiple: 4\n";
  CHECK(plan_layers(parse_model_yaml(text, "net.yaml", Compat::v7_0), 3).layers[1].row.channels == 16);
  CHECK(plan_layers(parse_model_yaml(text, "net.yaml", Compat::head), 3).layers[1].row.channels == 12);
  // 2 anchors x (5 + 5 classes) = 20 channels: not scaled (§1.2).
  CHECK(plan_layers(parse_model_yaml(text, "net.yaml", Compat::v7_0), 5).layers[1].row.channels == 20);
}

TEST_CASE("a number of anchors makes placeholders that are to be refitted") {
  const std::string listed = network("[-1, 1, Conv, [64, 3, 2]]"), pixels = "[[10,13, 16,30]]";
  const std::size_t at = listed.find(pixels);
  const std::string text = listed.substr(0, at) + "2" + listed.substr(at + pixels.size());
  CHECK(parse_model_yaml(text, "net.yaml", Compat::v7_0).anchors == AnchorTable{{0, 1, 2, 3}});
}

TEST_CASE("a wrong row is named with its line, its layer and what is allowed") {
  CHECK_THAT(error_of(network("[-1, 3, C2f, [64]]")),
             Contains("net.yaml:7: layer 1 (C2f): unknown module. Allowed: Conv, DWConv") && Contains("GhostBottleneck"));
  CHECK_THAT(error_of(network("[-1, 3, Conv]")), Contains("net.yaml:7: layer 1: is not a row of four"));
  CHECK_THAT(error_of(network("[-1, x, Conv, [64]]")), Contains("layer 1 (Conv): number = x is not possible"));
  CHECK_THAT(error_of(network("[1, 1, Conv, [64]]")), Contains("layer 1 (Conv): from must be a layer before this one: 0 to 0"));
  CHECK_THAT(error_of(network("[[-1, 0], 1, Conv, [64]]")), Contains("layer 1 (Conv): takes one input"));
  CHECK_THAT(error_of(network("[-1, 1, Conv, []]")), Contains("layer 1 (Conv): has a wrong number of args"));
  CHECK_THAT(error_of(network("[-1, 1, Conv, [64, three]]")), Contains("kernel = three is not possible. Allowed: an integer"));
  CHECK_THAT(error_of(network("[-1, 1, Conv, [64, 3, 1, 1, 5]]")), Contains("groups 5 must divide 16 and 32"));
  CHECK_THAT(error_of(network("[-1, 1, nn.Upsample, [None, 2, bilinear]]")), Contains("its mode must be nearest"));
  CHECK_THAT(error_of(network("[-1, 1, GhostBottleneck, [64, 3, 1]]")), Contains("with stride 1 it adds its input of 16"));
  CHECK_THAT(error_of(network("[-1, 6, Conv, [64, 3, 1]]")), Contains("layer 1 (Conv): cannot be repeated"));
  CHECK_THAT(error_of(network("[-1, 1, C3TR, [64, True, 1, 0.05]]")), Contains("the heads of its attention"));
  CHECK_THAT(error_of(network("[-1, 1, Conv, [64, 3, 2]]") + "heads: 1\n"), Contains("heads = 1: unknown key, did you mean head?"));
}

TEST_CASE("a network that is no detector is refused") {
  CHECK_THAT(error_of(kHead + "head: []\n"), Contains("layer 0 (Conv): the last layer of a detector is Detect"));
  CHECK_THAT(error_of(kHead + "head:\n  - [[0, 0], 1, Detect, [nc, anchors]]\n"), Contains("has 2 levels, but anchors has 1 rows"));
  CHECK_THAT(error_of(kHead + "  - [-1, 1, Conv, [32, 3, 2]]\nhead:\n  - [[-1, 0], 1, Concat, [1]]\n"),
             Contains("layer 2 (Concat): its inputs have strides 4 and 2"));
  CHECK_THAT(error_of("a: [1"), Contains("net.yaml:") && Contains("not YAML"));
  CHECK_THAT(error_of("just text"), Contains("net.yaml:1: is not a model YAML file"));
  CHECK_THAT(error_of(kHead), Contains("head: is missing"));
  CHECK_THAT(error_of(std::string("activation: nn.Tanh()\n") + kHead), Contains("activation = nn.Tanh(): unknown activation. Allowed: nn.SiLU()"));
}

TEST_CASE("the six hyperparameter files hold the numbers of the built-in sets") {
  const auto names = builtin_hyperparameter_names();
  CHECK(names.size() == 6);
  for (const std::string& name : names) {
    INFO(name);
    const Hyperparameters set = builtin_hyperparameters(name);
    const Hyperparameters file = read_hyp_file(source() / "scenarios" / "hyps" / (name + ".yaml"));
    std::vector<double> written, built_in;
    visit_hyperparameters(file, [&](const char*, double value) { written.push_back(value); });
    visit_hyperparameters(set, [&](const char*, double value) { built_in.push_back(value); });
    CHECK(written == built_in);
  }
  const Hyperparameters defaults, low = builtin_hyperparameters("scratch-low");
  CHECK(defaults.lrf == low.lrf);
  CHECK(builtin_hyperparameters("scratch-high").copy_paste == 0.1);
  CHECK(builtin_hyperparameters("Objects365").obj == 0.632);
  CHECK_THROWS_WITH(builtin_hyperparameters("scratch"), Contains("scratch-low, scratch-med, scratch-high, VOC, Objects365"));
}
