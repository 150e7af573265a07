// The main of every test program. It ends with `N passed, N failed, N skipped` (test cases), and appends the same three
// numbers to the file that VALBENCH_TEST_COUNTS names, so that `valbench test` can add up all programs.
#define CATCH_CONFIG_RUNNER
#include "tests/support/catch.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace {
struct Counts {
  int passed = 0, failed = 0, skipped = 0;
  bool skipping = false;
} counts;

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif
struct CountingListener : ListenerBase {
  using ListenerBase::ListenerBase;
  void testCaseStarting(const Catch::TestCaseInfo&) override { counts.skipping = false; }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (stats.totals.assertions.failed > 0 || stats.totals.testCases.failed > 0) {
      ++counts.failed;
    } else if (counts.skipping) {
      ++counts.skipped;
    } else {
      ++counts.passed;
    }
  }
};
CATCH_REGISTER_LISTENER(CountingListener)
}  // namespace

namespace valbench::test {
void mark_skipped(const std::string& reason) {
  counts.skipping = true;
  std::printf("skipped: %s\n", reason.c_str());
}
}  // namespace valbench::test

int main(int argc, char** argv) {
  const int result = Catch::Session().run(argc, argv);
  std::printf("%d passed, %d failed, %d skipped\n", counts.passed, counts.failed, counts.skipped);
  if (const char* path = std::getenv("VALBENCH_TEST_COUNTS"); path != nullptr) {
    std::ofstream(path, std::ios::app) << counts.passed << ' ' << counts.failed << ' ' << counts.skipped << '\n';
  }
  return result;
}
