// `valbench verify` through the real programs.
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
namespace fs = std::filesystem;

TEST_CASE("verify runs every strategy once, scores every validation again and prints a table") {
  const SweepSandbox sandbox;
  const std::string strategies =
      "strategies=[{name: rank0}, {name: sharded, placement: sharded}, {name: some, placement: sharded, subset: 5}, "
      "{name: square, shape: square}, {name: apart, placement: dedicated}, "
      "{name: beside, placement: overlapped, overlap: sharded}, {name: none, placement: none}]";
  const std::vector<std::string> command = {"verify", "scenario.yaml", "--out", "out", "--epochs", "3", "--set", strategies};
  const Outcome outcome = sandbox.valbench(command);
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.output, Contains("strategy  exact        checked  images  detections  NMS limit hits  mAP50-95 to full fp32"));
  CHECK_THAT(outcome.output, Contains("not claimed      3/3       5") && Contains("subset 5 of 12 images") && Contains("shape square"));
  for (const char* run : {"r00-rank0", "r00-sharded", "r00-beside"}) {
    const RunRecord record = sandbox.record(run);
    CHECK(record.exactness.exact == "true");
    CHECK(record.exactness.checked_epochs == std::vector<int>{0, 1, 2});
    CHECK(record.exactness.map50_95_delta.value == 0.0);
    CHECK(record.invalid_reasons.empty());
    REQUIRE(record.validations.size() == 3);
    CHECK(record.validations[2].pixels > 0);
  }
  const RunRecord apart = sandbox.record("r00-apart");
  const std::string n = std::to_string(apart.validations.size());
  CHECK(apart.exactness.checked_epochs.size() == apart.validations.size());
  CHECK_THAT(outcome.output, Contains("apart     yes              " + n + "/" + n + " "));
  CHECK(sandbox.record("r00-some").exactness.exact == "not_claimed");
  CHECK(sandbox.record("r00-square").exactness.exact == "true");  // Rank 0 alone scores the same, with square images.
  CHECK(sandbox.record("r00-square").exactness.unlike_full_set == "shape square");
  CHECK(sandbox.record("r00-none").exactness.exact == "not_claimed");
  for (const auto& entry : fs::recursive_directory_iterator(sandbox.out())) CHECK(entry.path().extension() != ".state");

  CHECK(sandbox.valbench(command).code == 0);  // An earlier check does not stand in the way.
  const auto before = sandbox.listing();
  std::vector<std::string> shorter = command;
  shorter[5] = "1";
  const Outcome refused = sandbox.valbench(shorter);  // What may be a sweep's runs does.
  CHECK(refused.code == 2);
  CHECK_THAT(unwrapped(refused.output), Contains(" holds a complete run that is no check of these settings"));
  CHECK(sandbox.listing() == before);
}
