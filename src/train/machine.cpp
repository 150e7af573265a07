#include "train/machine.h"

#include <ATen/Version.h>
#include <ATen/cuda/CUDAContext.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>
#include <sys/utsname.h>
#include <time.h>
#include <torch/version.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace valbench {
namespace {

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string operating_system() {
  std::ifstream in("/etc/os-release");
  std::string name = "Linux";
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("PRETTY_NAME=")) name = line.substr(13, line.size() - 14);
  }
  utsname kernel{};
  uname(&kernel);
  return name + ", " + kernel.release;
}

std::string version_number(int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); }

}  // namespace

MachineRecord describe_machine(c10::Device device) {
  MachineRecord machine;
  machine.host_cpu = cpu_name();
  machine.cores = static_cast<int>(std::thread::hardware_concurrency());
  machine.memory_gib = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE)) / (1 << 30);
  machine.os = operating_system();
  machine.versions = {{"valbench", VALBENCH_VERSION}, {"libtorch", TORCH_VERSION}, {"cuda_runtime", version_number(CUDART_VERSION)}};
  if (!device.is_cuda()) return machine;
  machine.gpu = at::cuda::getDeviceProperties(device.index())->name;
  int driver = 0, nccl = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess) machine.versions["cuda_driver"] = version_number(driver);
  if (ncclGetVersion(&nccl) == ncclSuccess) {
    machine.versions["nccl"] = fmt::format("{}.{}.{}", nccl / 10000, nccl % 10000 / 100, nccl % 100);
  }
  return machine;
}

std::int64_t realtime_ns() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

std::string host_clock() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (std::getline(in, id) && !id.empty()) return id;
  utsname kernel{};
  uname(&kernel);
  return kernel.nodename;
}

double seconds_since_process_start() {
  std::ifstream in("/proc/self/stat");
  std::stringstream text;
  text << in.rdbuf();
  // Field 22, counted after the process name, which may hold spaces and brackets itself.
  std::istringstream fields(text.str().substr(text.str().rfind(')') + 2));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const double start_s = std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return static_cast<double>(boot.tv_sec) + static_cast<double>(boot.tv_nsec) * 1e-9 - start_s;
}

}  // namespace valbench
