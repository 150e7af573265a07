/// \file
/// Progress of long work: a bar on a terminal, a plain line now and then elsewhere.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace valbench {

/// `45 s`, `3 min 20 s`, `2 h 5 min`.
std::string format_duration(double seconds);

/// One line of progress. Used by one thread.
class Progress {
 public:
  /// \param terminal redraws one line in place; otherwise a line at most every `plain_interval_s`.
  /// \param write takes what is to be shown; \param width columns of the terminal.
  Progress(bool terminal, int width, std::function<void(std::string_view)> write, double plain_interval_s = 15.0);
  /// On stderr: asks it whether it is a terminal and how wide.
  static Progress on_stderr();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// \param fraction 0..1 of the whole. \param eta_s seconds left; negative = not known. \param at_ns now_ns().
  void update(double fraction, double eta_s, std::string_view text, std::int64_t at_ns);
  /// A line that stays, above the bar.
  void line(std::string_view text);
  /// Takes the bar away.
  void clear();

 private:
  bool terminal_;
  int width_;
  std::function<void(std::string_view)> write_;
  std::int64_t plain_interval_ns_;
  std::int64_t last_ns_ = 0;
  bool drawn_ = false, ever_ = false;
};

}  // namespace valbench
