#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <functional>

#include "base/file.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;

namespace {
/// What `write` puts on the descriptor `fd`.
std::string captured(int fd, const std::function<void()>& write) {
  const test::ScratchFolder folder;
  const auto file = folder.write("captured", "");
  const int kept = ::dup(fd), target = ::open(file.c_str(), O_WRONLY);
  ::dup2(target, fd);
  write();
  ::dup2(kept, fd);
  ::close(kept);
  ::close(target);
  return read_file(file);
}
}  // namespace

TEST_CASE("results go to standard output, notes, warnings and errors to standard error, each as a line") {
  CHECK(captured(STDOUT_FILENO, [] { print_line("a table"); }) == "a table\n");
  const auto to_stderr = [] {
    log_note("a note");
    log_warning("odd");
    log_error("bad");
  };
  CHECK(captured(STDERR_FILENO, to_stderr) == "a note\nwarning: odd\nerror: bad\n");
  CHECK(captured(STDOUT_FILENO, to_stderr).empty());
}

TEST_CASE("a closed standard error does not stop the program") {
  const int kept = ::dup(STDERR_FILENO);
  ::close(STDERR_FILENO);
  CHECK_NOTHROW(log_error("nobody reads this"));
  ::dup2(kept, STDERR_FILENO);
  ::close(kept);
}
