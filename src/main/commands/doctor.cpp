#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "base/log.h"
#include "base/subprocess.h"
#include "launch/rank_environment.h"
#include "main/commands/commands.h"

namespace valbench {
namespace {

using nlohmann::json;

/// What CUDA 13.0, which LibTorch 2.11 brings, asks of the driver.
constexpr int kOldestDriver = 580;
constexpr const char* kDriverFix = "CUDA 13.0 needs driver 580 or newer";

void say(const std::string& what, const std::string& value) { print_line(fmt::format("{:<19} {}", what, value)); }

/// One of the things that can be done here, and if not, why and what helps.
void say_works(const std::string& what, const std::string& problem, const std::string& fix) {
  say(what, problem.empty() ? "yes" : "no: " + problem);
  if (!problem.empty() && !fix.empty()) say("", "fix: " + fix);
}

/// `580.95.05` from the kernel module; empty without one.
std::string kernel_driver_version() {
  std::ifstream in("/proc/driver/nvidia/version");
  std::string line;
  std::getline(in, line);
  std::smatch found;
  return std::regex_search(line, found, std::regex(R"(\b\d{3}\.\d+(\.\d+)?\b)")) ? found.str() : std::string();
}

/// What valbench-rank says about its libraries, or why it cannot say anything.
struct RankProgram {
  json versions;
  std::string problem, fix;
};

RankProgram ask_rank_program() {
  const auto program = find_rank_program();
  if (::access(program.c_str(), X_OK) != 0) return {{}, program.string() + " is missing", "./valbench setup"};
  const auto run = run_captured({program.string(), "--versions"}, 60);
  std::istringstream lines(run.output);
  RankProgram answer;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('{')) answer.versions = json::parse(line, nullptr, /*allow_exceptions=*/false);
  }
  if (!run.exit.ok() || !answer.versions.is_object()) {
    std::string said = run.output.substr(0, run.output.find('\n'));
    answer.versions = json::object();
    answer.problem = "valbench-rank does not start" + (said.empty() ? said : ": " + said);
    answer.fix = "./valbench setup";
  }
  return answer;
}

std::string driver_text(const Machine& machine, const json& versions) {
  const std::string kernel = kernel_driver_version(), cuda = versions.value("cuda_driver", "");
  if (kernel.empty() && cuda.empty()) return machine.gpus > 0 ? "version not known" : "none";
  return (kernel.empty() ? "version not known" : kernel) + (cuda.empty() ? "" : ", for CUDA up to " + cuda);
}

void describe_libraries(const Machine& machine, const json& versions) {
  const auto version = [&](const char* name) { return versions.value(name, std::string("not known")); };
  say("LibTorch", version("libtorch") + ", " + version("libtorch_folder"));
  say("CUDA runtime", version("cuda_runtime"));
  say("NVIDIA driver", driver_text(machine, versions));
  say("NCCL", version("nccl"));
  const json gpus = versions.value("gpus", json::array());
  if (gpus.empty()) say("GPUs", "none");
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    say(fmt::format("GPU {}", i), fmt::format("{}, {:.1f} GiB, compute capability {}", gpus[i].value("name", ""),
                                              gpus[i].value("memory_mib", 0.0) / 1024,
                                              gpus[i].value("compute_capability", "")));
  }
}

/// Why GPUs cannot be used, in words that help more than the CUDA runtime's.
std::string gpu_problem(const Machine& machine, const json& versions) {
  if (!versions.value("gpus", json::array()).empty()) return {};
  const std::string driver = kernel_driver_version();
  if (!driver.empty() && std::stoi(driver) < kOldestDriver) return "driver " + driver + " is too old";
  if (!machine.gpu_note.empty()) return machine.gpu_note;
  const std::string said = versions.value("gpu_problem", "");
  return said.empty() ? "no GPU is visible" : said;
}

void describe_abilities(const Machine& machine, const RankProgram& ranks) {
  if (!ranks.problem.empty()) {
    say_works("train on CPUs", ranks.problem, ranks.fix);
    say_works("train on GPUs", ranks.problem, "");
    return;
  }
  const json& versions = ranks.versions;
  const std::string no_gpu = gpu_problem(machine, versions);
  const std::string fix = std::string("a machine with an NVIDIA GPU and its driver; ") + kDriverFix;
  say_works("train on CPUs", "", "");
  say_works("train on GPUs", no_gpu, fix);
  const auto gpus = versions.value("gpus", json::array()).size();
  say_works("train on several", gpus > 1 ? "" : gpus == 1 ? "there is one GPU" : "no GPU",
            gpus == 1 ? "to check correctness, ranks may share it: share_gpu: true" : "");
  say("trace hosts", "yes (--profile)");
  const std::string no_tracing = versions.value("gpu_tracing_problem", "");
  say_works("trace GPUs (CUPTI)", no_gpu.empty() ? no_tracing : "no GPU",
            no_gpu.empty() ? "end other profilers (nsys, ncu, a CUPTI or DCGM collector), and see profilers/README.md" : "");
  say("NVTX ranges", "yes (in every run; a tool such as Nsight Systems shows them)");
}

}  // namespace

int run_doctor() {
  const Machine machine = find_machine();
  utsname system{};
  ::uname(&system);
  const double gib =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 30);
  say("valbench", VALBENCH_VERSION);
  say("system", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  say("CPU cores", std::to_string(machine.cores));
  say("memory", fmt::format("{:.1f} GiB", gib));
  const RankProgram ranks = ask_rank_program();
  if (ranks.problem.empty()) describe_libraries(machine, ranks.versions);
  print_line("\nWhat works here");
  describe_abilities(machine, ranks);
  return ranks.problem.empty() ? 0 : 4;
}

}  // namespace valbench
