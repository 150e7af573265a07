#include "base/log.h"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace valbench {
namespace {

void write_all(int fd, const std::string& line) {
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t n = ::write(fd, rest.data(), rest.size());
    // A closed terminal or a full disk must not stop a sweep.
    if (n <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

void print_line(std::string_view text) {
  std::fflush(stdout);
  write_all(STDOUT_FILENO, std::string(text) + "\n");
}
void log_note(std::string_view text) { write_all(STDERR_FILENO, std::string(text) + "\n"); }
void log_warning(std::string_view text) { write_all(STDERR_FILENO, "warning: " + std::string(text) + "\n"); }
void log_error(std::string_view text) { write_all(STDERR_FILENO, "error: " + std::string(text) + "\n"); }

}  // namespace valbench
