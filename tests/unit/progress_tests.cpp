#include "base/progress.h"

#include <cstdint>
#include <string>

#include "tests/support/catch.h"

using namespace valbench;

namespace {
constexpr std::int64_t kSecond_ns = 1'000'000'000;

/// A Progress and all that it showed.
struct Shown {
  std::string text;
  Progress progress;
  explicit Shown(bool terminal, int width = 80)
      : progress(terminal, width, [this](std::string_view part) { text += part; }, 15.0) {}
};
}  // namespace

TEST_CASE("durations read as people say them") {
  CHECK(format_duration(0.4) == "0 s");
  CHECK(format_duration(-3) == "0 s");
  CHECK(format_duration(59.4) == "59 s");
  CHECK(format_duration(59.6) == "1 min 0 s");
  CHECK(format_duration(200) == "3 min 20 s");
  CHECK(format_duration(7500) == "2 h 5 min");
}

TEST_CASE("without a terminal a line appears at once and then at most every 15 seconds") {
  Shown shown(false);
  shown.progress.update(0.1, -1, "run 1", 0);
  shown.progress.update(0.2, 30, "run 2", 14 * kSecond_ns);
  shown.progress.update(0.3, 20, "run 3", 15 * kSecond_ns);
  CHECK(shown.text == " 10 %  run 1\n 30 %  run 3  20 s left\n");
  shown.progress.line("done");
  CHECK(shown.text.ends_with("left\ndone\n"));
}

TEST_CASE("on a terminal one line is redrawn within its width, and taken away for lines that stay") {
  Shown shown(true, 40);
  shown.progress.update(0.5, 10, "a text that is too long for the terminal", 0);
  CHECK(shown.text.starts_with("\r\x1b[K[##########..........]  50 %  a text"));
  CHECK(shown.text.size() == std::string("\r\x1b[K").size() + 39);
  shown.text.clear();
  shown.progress.update(0.6, 10, "too soon", kSecond_ns / 20);
  CHECK(shown.text.empty());
  shown.progress.line("[1/2] done");
  CHECK(shown.text == "\r\x1b[K[1/2] done\n");
  shown.text.clear();
  shown.progress.clear();
  CHECK(shown.text.empty());
}

TEST_CASE("a share outside of 0 to 1 is held to it") {
  Shown shown(false);
  shown.progress.update(1.7, 0, "over", 0);
  shown.progress.update(-1, 0, "under", 20 * kSecond_ns);
  CHECK(shown.text == "100 %  over  0 s left\n  0 %  under  0 s left\n");
}
