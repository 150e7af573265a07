#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "launch/rank_environment.h"
#include "main/commands/commands.h"

namespace valbench {
namespace {

void say(const std::string& what, const std::string& value) { print_line(fmt::format("{:<16} {}", what, value)); }

/// Names and driver, from the driver's own program where it is installed.
std::string gpu_names() {
  for (const char* program : {"/usr/bin/nvidia-smi", "/usr/local/nvidia/bin/nvidia-smi"}) {
    if (::access(program, X_OK) != 0) continue;
    const auto run =
        run_captured({program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"}, 20);
    if (run.exit.ok()) return run.output;
  }
  return {};
}

bool describe_rank_program() {
  const auto program = find_rank_program();
  if (::access(program.c_str(), X_OK) != 0) {
    say("valbench-rank", program.string() + " is missing. Fix: ninja -C build valbench-rank");
    return false;
  }
  const auto run = run_captured({program.string(), "--versions"}, 60);
  say("valbench-rank", program.string());
  if (!run.exit.ok()) {
    say("", "does not start. Fix: ./valbench setup. It said: " + run.output);
    return false;
  }
  say("versions", run.output.substr(0, run.output.find_last_not_of('\n') + 1));
  return true;
}

}  // namespace

int run_doctor() {
  const Machine machine = find_machine();
  utsname system{};
  ::uname(&system);
  const double gib =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 30);
  say("system", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  say("cores", std::to_string(machine.cores));
  say("memory", fmt::format("{:.1f} GiB", gib));
  say("GPUs", machine.gpus > 0 ? std::to_string(machine.gpus) : "none: " + machine.gpu_note);
  if (machine.gpus > 0) say("", gpu_names());
  const bool ranks = describe_rank_program();
  print_line("");
  say("CPU training", ranks ? "works" : "does not work: see valbench-rank above");
  say("GPU training", !ranks             ? "does not work: see valbench-rank above"
                      : machine.gpus > 0 ? "works"
                                         : "needs an NVIDIA GPU and driver 580 or newer");
  return ranks ? 0 : 4;
}

}  // namespace valbench
