#include "validate/weights_guard.h"

#include <ATen/ATen.h>

#include "tests/support/catch.h"
#include "train/guarded_weights.h"

using namespace valbench;
using Catch::Contains;

namespace {

RunSpec small_spec() {
  RunSpec spec;
  spec.imgsz = 64;
  spec.batch_size = 2;
  return spec;
}

/// A trained model whose weights the test may touch.
struct Fixture {
  RunSpec spec = small_spec();
  std::unique_ptr<Communicator> communicator = make_single_communicator();
  std::unique_ptr<DetectionModel> model = make_yolov5("yolov5n", 3, 0);
  Tracer tracer;
  TrainStep step{spec, *model, *communicator, tracer, 2, c10::Device(c10::DeviceType::CPU)};
  std::int64_t off_clock_ns = 0;

  WeightsGuard guard() { return {guarded_weights(step, spec.validation.ema), spec.verify, tracer, off_clock_ns}; }
  void touch(at::Tensor state) const { state.narrow(0, state.size(0) / 2, 1).add_(1); }
};

}  // namespace

TEST_CASE("weights that validating leaves alone are not reported, and hashing them is off the clock") {
  Fixture f;
  WeightsGuard guard = f.guard();
  CHECK(guard.changes(0, 3).empty());
  CHECK(f.off_clock_ns > 0);
}

TEST_CASE("one number of the trained model or of the EMA that changes while validating is reported with rank, epoch and checksums") {
  Fixture f;
  WeightsGuard guard = f.guard();
  f.touch(f.step.model_state());
  const auto model = guard.changes(1, 3);
  REQUIRE(model.size() == 1);
  CHECK_THAT(model[0], Contains("validating epoch 3 changed the trained model of rank 1: checksum "));
  f.touch(f.step.ema_state());
  const auto both = guard.changes(0, 4);
  REQUIRE(both.size() == 2);
  CHECK_THAT(both[1], Contains("validating epoch 4 changed the EMA of rank 0"));
}

TEST_CASE("ema in_place may round the EMA, and verify none looks at nothing") {
  Fixture f;
  f.spec.validation.ema = EmaUse::in_place;
  WeightsGuard in_place = f.guard();
  f.touch(f.step.ema_state());
  CHECK(in_place.changes(0, 0).empty());
  f.spec.verify = VerifyMode::none;
  f.off_clock_ns = 0;
  WeightsGuard off = f.guard();
  f.touch(f.step.model_state());
  CHECK(off.changes(0, 0).empty());
  CHECK(f.off_clock_ns == 0);
}
