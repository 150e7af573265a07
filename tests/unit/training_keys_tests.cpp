// YOLOv5's training options as keys of a scenario: what is read, and which combinations are refused.
#include "base/error.h"
#include "scenario/scenario.h"
#include "scenario/training_keys.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using Catch::Contains;

namespace {

const std::string kBase =
    "data: synth\nbatch_size: 16\n"
    "strategies:\n  - {name: rank0}\n  - {name: floor, placement: none}\n";  // 5 lines

Scenario parse(const std::string& lines, const Machine& machine = {4, 0, "no driver"}) {
  const test::ScratchFolder folder;
  return parse_scenario(folder.write("scenario.yaml", kBase + lines), {}, machine);
}

std::string error_of(const std::string& lines, const Machine& machine = {4, 0, "no driver"}) {
  try {
    parse(lines, machine);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("training options have YOLOv5's names, and a spec keeps them") {
  const RunSpec spec = parse(
                           "optimizer: AdamW\nfreeze: 10\nsingle_cls: true\nmulti_scale: true\nquad: true\nrect: true\nautoanchor: false\n"
                           "deterministic: true\nsave_period: 5\nnosave: true\ncompat: head\n")
                           .base;
  const RunSpec read = run_spec_from_json(run_spec_to_json(spec));
  CHECK(read.optimizer == OptimizerKind::adamw);
  CHECK(read.freeze == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(read.single_cls);
  CHECK(read.multi_scale);
  CHECK(read.quad);
  CHECK(read.rect);
  CHECK_FALSE(read.autoanchor);
  CHECK(read.deterministic);
  CHECK(read.save_period == 5);
  CHECK(read.nosave);
  CHECK(read.compat == Compat::head);
}

TEST_CASE("left out, training options are YOLOv5's defaults, but patience is off") {
  const RunSpec spec = parse("").base;
  CHECK(spec.optimizer == OptimizerKind::sgd);
  CHECK(spec.freeze.empty());
  CHECK(spec.autoanchor);
  CHECK(spec.patience == 0);
  CHECK(spec.save_period == -1);
  CHECK(spec.compat == Compat::v7_0);
  CHECK_FALSE((spec.single_cls || spec.sync_bn || spec.multi_scale || spec.rect || spec.quad || spec.image_weights));
  CHECK_FALSE((spec.deterministic || spec.nosave));
}

TEST_CASE("freeze takes one number as that many layers, and a list as layers") {
  CHECK(parse("freeze: 0\n").base.freeze.empty());
  CHECK(parse("freeze: 3\n").base.freeze == std::vector<int>{0, 1, 2});
  CHECK(parse("freeze: [3]\n").base.freeze == std::vector<int>{3});
  CHECK(parse("freeze: [0, 9]\n").base.freeze == std::vector<int>{0, 9});
  CHECK_THAT(error_of("freeze: -1\n"), Contains(":6: freeze = -1") && Contains("layers 0 to N - 1"));
  CHECK_THAT(error_of("freeze: backbone\n"), Contains("freeze"));
  CHECK_THAT(error_of("freeze: [0, x]\n"), Contains("freeze"));
  CHECK_THAT(error_of("freeze: []\n"), Contains("freeze"));
}

TEST_CASE("options that make no sense together are refused with the line and the reason") {
  CHECK_THAT(error_of("ranks: 2\nimage_weights: true\n"), Contains(":7: image_weights = true") && Contains("2 ranks"));
  CHECK_THAT(error_of("image_weights: true\nrect: true\n"), Contains("image_weights") && Contains("rect"));
  CHECK_THAT(error_of("sync_bn: true\ndevice: cpu\n"), Contains(":6: sync_bn = true") && Contains("GPU"));
  CHECK_THAT(error_of("quad: true\nranks: 8\nthreads: 1\n"), Contains("quad = true") && Contains("has 2"));
  CHECK_THAT(error_of("patience: 5\n"), Contains("patience = 5") && Contains("floor"));
  CHECK_THAT(error_of("validation: {placement: deferred}\npatience: 5\n"), Contains("patience = 5") && Contains("placement deferred"));
  CHECK_THAT(error_of("validation: {placement: overlapped}\nimage_weights: true\n"),
             Contains("image_weights = true") && Contains("placement overlapped"));
  CHECK_THAT(error_of("validation: {score: background}\nimage_weights: true\n"),
             Contains("image_weights = true") && Contains("score background"));
  CHECK_THAT(error_of("validation: {placement: overlapped, ema: in_place}\n"), Contains("ema = in_place") && Contains("scores a copy"));
  CHECK_THAT(error_of("save_period: 2\nsave_checkpoints: false\n"), Contains("save_period = 2"));
  CHECK_THAT(error_of("optimizer: RMSprop\n"), Contains("SGD, Adam, AdamW"));
}

TEST_CASE("synchronised batch norm is taken where there are GPUs") {
  CHECK(parse("sync_bn: true\nranks: 2\n", {4, 2, ""}).base.sync_bn);
}

TEST_CASE("as many ranks that only validate as there are ranks are refused") {
  const std::string strategy = "validation: {placement: dedicated, dedicated_ranks: 2}\n";
  CHECK_THAT(error_of("ranks: 2\n" + strategy), Contains("ranks = 2: strategy rank0 has 2 of the 2 ranks only validate") &&
                                                     Contains("more than 2 ranks, or fewer dedicated_ranks"));
  CHECK_THAT(error_of("ranks: 1\nvalidation: {placement: dedicated}\n"), Contains("none is left to train"));
  CHECK(error_of("ranks: 4\n" + strategy) == "no error");
}

TEST_CASE("a batch is dealt to the ranks that train, and only where all do to all of them") {
  const auto error = [](const std::string& strategies) {
    const test::ScratchFolder folder;
    try {
      parse_scenario(folder.write("scenario.yaml", "data: synth\nranks: 3\nbatch_size: 16\nstrategies:\n" + strategies), {}, {4, 0, "no driver"});
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(error("  - {name: own, placement: dedicated}\n") == "no error");
  CHECK_THAT(error("  - {name: own, placement: dedicated}\n  - {name: rank0}\n"), Contains(":3: batch_size = 16: batch_size 16 cannot be dealt evenly to 3 ranks"));
}
