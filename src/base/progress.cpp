#include "base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace valbench {

std::string format_duration(double seconds) {
  const auto total = static_cast<long long>(std::llround(std::max(0.0, seconds)));
  if (total < 60) return std::to_string(total) + " s";
  if (total < 3600) return std::to_string(total / 60) + " min " + std::to_string(total % 60) + " s";
  return std::to_string(total / 3600) + " h " + std::to_string(total % 3600 / 60) + " min";
}

Progress::Progress(bool terminal, int width, std::function<void(std::string_view)> write, double plain_interval_s)
    : terminal_(terminal),
      width_(width),
      write_(std::move(write)),
      plain_interval_ns_(static_cast<std::int64_t>(plain_interval_s * 1e9)) {}

Progress Progress::on_stderr() {
  winsize size{};
  const bool sized = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return Progress(::isatty(STDERR_FILENO) == 1, sized ? size.ws_col : 80, [](std::string_view text) {
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
  });
}

void Progress::update(double fraction, double eta_s, std::string_view text, std::int64_t at_ns) {
  // Ten redraws a second are enough for the eye.
  const std::int64_t interval_ns = terminal_ ? 100'000'000 : plain_interval_ns_;
  if (ever_ && at_ns - last_ns_ < interval_ns) return;
  ever_ = true;
  last_ns_ = at_ns;
  fraction = std::clamp(fraction, 0.0, 1.0);
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3d %%", static_cast<int>(fraction * 100));
  std::string shown = std::string(percent) + "  " + std::string(text);
  if (eta_s >= 0) shown += "  " + format_duration(eta_s) + " left";
  if (!terminal_) {
    write_(shown + "\n");
    return;
  }
  constexpr int kCells = 20;
  const int full = static_cast<int>(fraction * kCells);
  const std::string bar = "[" + std::string(static_cast<std::size_t>(full), '#') +
                          std::string(static_cast<std::size_t>(kCells - full), '.') + "] ";
  shown = (bar + shown).substr(0, static_cast<std::size_t>(std::max(1, width_ - 1)));
  write_("\r\x1b[K" + shown);
  drawn_ = true;
}

void Progress::line(std::string_view text) {
  clear();
  write_(std::string(text) + "\n");
}

void Progress::clear() {
  if (drawn_) write_("\r\x1b[K");
  drawn_ = false;
}

}  // namespace valbench
