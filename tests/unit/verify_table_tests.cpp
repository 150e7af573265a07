#include "report/verify_table.h"

#include "comm/group_timeout.h"
#include "launch/run_guess.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

RunRecord run_of(const std::string& name, const std::string& exact) {
  RunRecord run;
  run.spec.validation.name = name;
  run.exactness.exact = exact;
  run.exactness.checked_epochs = {0, 1};
  run.exactness.map50_95_delta = Measured::of(0);
  run.validations.resize(2);
  run.validations[1].images = 13, run.validations[1].detections = 420, run.validations[1].detection_limit_hits = 3;
  return run;
}

}  // namespace

TEST_CASE("the verify table has a row per strategy, and what is wrong below it") {
  RunRecord right = run_of("rank0", "true"), wrong = run_of("sharded", "false"), part = run_of("subset", "not_claimed");
  wrong.exactness.first_difference = "epoch 1: image 3 (a.jpg), detection 0: score 0.5 != 0.4";
  part.exactness.unlike_full_set = "subset 3 of 13 images";
  part.exactness.map50_95_delta = Measured::of(-0.125);
  RunRecord none;
  none.spec.validation.name = "none";
  const std::string expected =
      "strategy  exact        checked  images  detections  NMS limit hits  mAP50-95 to full fp32  because of\n"
      "rank0     yes              2/2      13         420           0 + 3               +0.00000\n"
      "sharded   NO               2/2      13         420           0 + 3               +0.00000\n"
      "subset    not claimed      2/2      13         420           0 + 3               -0.12500  subset 3 of 13 images\n"
      "none      not claimed        -       -           -               -                      -\n"
      "\n"
      "sharded: first difference: epoch 1: image 3 (a.jpg), detection 0: score 0.5 != 0.4";
  CHECK(verify_table({right, wrong, part, none}) == expected);
  CHECK(holds_what_it_claims(right));
  CHECK(holds_what_it_claims(part));
  CHECK_FALSE(holds_what_it_claims(wrong));
}

TEST_CASE("a run whose weights a validation has changed does not hold what it claims, and says why") {
  RunRecord run = run_of("rank0", "true");
  run.invalid_reasons = {"validating epoch 0 changed the EMA of rank 0: checksum aa before, bb after"};
  CHECK_FALSE(holds_what_it_claims(run));
  CHECK_THAT(verify_table({run}), Contains("rank0: INVALID: validating epoch 0 changed the EMA of rank 0"));
}

TEST_CASE("a validation that would come near the process group's time-out is warned of before the run, and a short one is not") {
  RunSpec spec;
  spec.model = "yolov5x", spec.imgsz = 1280, spec.ranks = 2;
  CHECK_THAT(group_timeout_warning(guess_validation_s(spec, {1000, 5000})), Contains("time-out of 10800 s"));
  spec.model = "yolov5n", spec.imgsz = 96;
  CHECK(group_timeout_warning(guess_validation_s(spec, {1000, 5000})).empty());
}
