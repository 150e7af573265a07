// The thread that validates beside training.
#include "validate/background_thread.h"

#include <ATen/Parallel.h>

#include <future>

#include "base/error.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

const c10::Device kCpu(c10::DeviceType::CPU);

}  // namespace

TEST_CASE("a background thread does one job at a time, and what a job wrote is there when it is idle") {
  BackgroundThread thread(kCpu);
  CHECK(thread.idle());
  std::promise<void> go;
  int written = 0;
  thread.start([&, ready = go.get_future().share()] {
    ready.wait();
    written = 7;
  });
  CHECK_FALSE(thread.idle());
  CHECK_THROWS_WITH(thread.start([] {}), Catch::Contains("while another one was running"));
  go.set_value();
  thread.wait();
  CHECK(thread.idle());
  CHECK(written == 7);
}

TEST_CASE("what a job throws comes out once, and the thread goes on") {
  BackgroundThread thread(kCpu);
  thread.start([] { throw Error("broken batch"); });
  CHECK_THROWS_WITH(thread.wait(), Catch::Contains("broken batch"));
  CHECK(thread.idle());
  bool ran = false;
  thread.start([&] { ran = true; });
  thread.wait();
  CHECK(ran);
}

TEST_CASE("a background thread that ends asks its job to stop and waits for it") {
  bool stopped = false;
  {
    std::promise<void> asked, begun;
    BackgroundThread thread(kCpu);
    thread.start([&, token = thread.stop_token()] {
      const std::stop_callback on_stop(token, [&] { asked.set_value(); });
      begun.set_value();
      asked.get_future().wait();
      stopped = true;
    });
    begun.get_future().wait();
  }
  CHECK(stopped);
}

TEST_CASE("a background thread computes with as many threads as the main one, or the bits would differ") {
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  BackgroundThread thread(kCpu);
  int threads = 0;
  thread.start([&] { threads = at::get_num_threads(); });
  thread.wait();
  at::set_num_threads(before);
  CHECK(threads == 3);
}
