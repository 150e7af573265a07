// Axis score: background: what a validation leaves to the thread beside training, and when training hears of it.
#include "validate/scoring_thread.h"

#include <latch>
#include <memory>
#include <thread>

#include "base/error.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

const c10::Device kCpu(c10::DeviceType::CPU);

ValidationResult result_of(int epoch) { return {.record = {.epoch = epoch}}; }

}  // namespace

TEST_CASE("a result comes when its job is done: nothing before, nobody waits, and its phases are the thread's own") {
  Tracer training;
  std::latch release(1);
  ScoringThread beside(training, kCpu);
  std::thread::id worker;
  beside.start(3, [&](Tracer& tracer) {
    const ScopedSpan span(tracer, Phase::val_metrics, 3);
    worker = std::this_thread::get_id();
    release.wait();
    return result_of(3);
  });
  CHECK(beside.take_ready().empty());
  CHECK(training.sum(Phase::val_wait).count == 0);
  release.count_down();
  const std::vector<ValidationResult> results = beside.drain();
  REQUIRE(results.size() == 1);
  CHECK(results[0].record.epoch == 3);
  CHECK(results[0].record.phase_s.contains("val.metrics"));
  CHECK(training.sum(Phase::val_metrics).count == 0);
  CHECK(worker != std::this_thread::get_id());
  CHECK(beside.drain().empty());
}

TEST_CASE("the next validation waits for the one before, and both results come in order") {
  Tracer training;
  auto release = std::make_unique<std::latch>(1);
  ScoringThread beside(training, kCpu);
  beside.start(0, [&](Tracer&) {
    release->wait();
    return result_of(0);
  });
  // Were the first not waited for, start() would throw.
  std::thread later([&] { release->count_down(); });
  beside.start(1, [](Tracer&) { return result_of(1); });
  later.join();
  const std::vector<ValidationResult> results = beside.drain();
  REQUIRE(results.size() == 2);
  CHECK(results[0].record.epoch == 0);
  CHECK(results[1].record.epoch == 1);
}

TEST_CASE("what fails beside training is thrown where training looks next, once") {
  Tracer training;
  ScoringThread beside(training, kCpu);
  beside.start(0, [](Tracer&) -> ValidationResult { throw Error("no room for a picture"); });
  CHECK_THROWS_WITH(beside.drain(), Catch::Contains("no room for a picture"));
  CHECK(beside.drain().empty());
}
