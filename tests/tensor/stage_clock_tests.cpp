// The clock of a validation's stages, and what it does with a failure.
#include "validate/stage_clock.h"

#include <stdexcept>

#include "tests/support/catch.h"

using namespace valbench;

TEST_CASE("a failure inside a span is thrown where the times are read, not in the span") {
  Tracer tracer;
  StageClock clock(c10::Device(c10::DeviceType::CPU), [](std::int64_t done) {
    if (done == 2) throw std::runtime_error("the pipe broke");
  });
  tracer.add_listener(clock);
  for (int batch = 0; batch < 3; ++batch) {
    const ScopedSpan span(tracer, Phase::val_batch, batch);
    const ScopedSpan inner(tracer, Phase::val_forward, batch);
  }
  CHECK_THROWS_WITH(clock.seconds(), "the pipe broke");
}

TEST_CASE("stages are counted by name, and each batch once") {
  std::int64_t batches = 0;
  Tracer tracer;
  StageClock clock(c10::Device(c10::DeviceType::CPU), [&](std::int64_t done) { batches = done; });
  tracer.add_listener(clock);
  for (int batch = 0; batch < 3; ++batch) const ScopedSpan span(tracer, Phase::val_batch, batch);
  CHECK(batches == 3);
  CHECK(clock.seconds().size() == 5);
  CHECK(clock.seconds().at("nms") == 0);
}
