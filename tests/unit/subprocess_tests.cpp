#include "base/subprocess.h"

#include <poll.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {
CapturedRun shell(const std::string& command) { return run_captured({"/bin/sh", "-c", command}, 60); }
}  // namespace

TEST_CASE("a captured run gives exit code, signal, and both outputs in the order of writing") {
  const CapturedRun run = shell("echo one; echo two >&2; echo three; exit 3");
  CHECK(run.output == "one\ntwo\nthree\n");
  CHECK(run.exit.code == 3);
  CHECK_FALSE(run.exit.ok());
  CHECK(shell("kill -TERM $$").exit.signal == SIGTERM);
  CHECK(shell("cat").exit.ok());  // Standard input is empty, not the terminal.
}

TEST_CASE("a run that takes longer than its limit is killed with its children") {
  const CapturedRun run = run_captured({"/bin/sh", "-c", "tail -f /dev/null & wait"}, 0.05);
  CHECK(run.timed_out);
  CHECK(run.exit.signal == SIGKILL);
}

TEST_CASE("a program that cannot be started is an error with the system's reason") {
  CHECK_THROWS_WITH(run_captured({"/nonexistent/program"}, 1), Contains("/nonexistent/program: No such file"));
  CHECK_THROWS_AS(run_captured({"/etc/passwd"}, 1), ProcessError);
}

TEST_CASE("a child gets added and replaced variables, a group of its own and unblocked signals") {
  ::setenv("VALBENCH_TEST_OLD", "before", 1);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  OwnedFd reader(ends[0]), writer(ends[1]);
  const SignalWatch blocks_signals;
  ChildOptions options;
  options.argv = {"/bin/sh", "-c", "echo $VALBENCH_TEST_OLD $VALBENCH_TEST_NEW; kill -TERM $$; echo never"};
  options.environment = {{"VALBENCH_TEST_OLD", "after"}, {"VALBENCH_TEST_NEW", "new"}};
  options.output_fd = writer.value();
  const pid_t child = start_child(options);
  CHECK(::getpgid(child) == child);
  writer.close();
  char text[64] = {};
  CHECK(::read(reader.value(), text, sizeof text - 1) > 0);
  CHECK(std::string(text) == "after new\n");
  std::optional<ChildExit> exit;
  while (!exit) exit = take_exit(child);
  CHECK(exit->signal == SIGTERM);
  ::unsetenv("VALBENCH_TEST_OLD");
}

TEST_CASE("a stop request arrives as data and is taken once; the end of a child is none") {
  SignalWatch watch;
  CHECK_FALSE(watch.take_stop_request());
  ::raise(SIGINT);
  pollfd readable{watch.fd(), POLLIN, 0};
  CHECK(::poll(&readable, 1, 10'000) == 1);
  CHECK(watch.take_stop_request());
  CHECK_FALSE(watch.take_stop_request());
  CHECK(shell("exit 0").exit.ok());
  CHECK_FALSE(watch.take_stop_request());
}

TEST_CASE("an owned descriptor is closed once, by its last owner") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const OwnedFd writer(ends[1]);
  OwnedFd first(ends[0]);
  OwnedFd second(std::move(first));
  CHECK(second.value() == ends[0]);
  first = std::move(second);
  CHECK(first.value() == ends[0]);
  first.close();
  CHECK(first.value() == -1);
  CHECK(::close(ends[0]) == -1);
}
