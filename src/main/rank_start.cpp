#include "main/rank_start.h"

#include <ATen/Parallel.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <nccl.h>
#include <torch/version.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <opencv2/core/utility.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "comm/rendezvous.h"
#include "profilers/profiler.h"

namespace valbench {

void start_threads(int threads) {
  at::set_num_interop_threads(1);
  at::set_num_threads(threads);
  at::init_num_threads();
  cv::setNumThreads(0);  // The loader has threads of its own.
}

c10::Device device_of(const Rendezvous& rendezvous, const RunSpec& spec) {
  if (spec.device == DeviceKind::cpu) return c10::Device(c10::DeviceType::CPU);
  const int id = gpu_of_rank(spec.device_ids, rendezvous.local_rank);
  int visible = 0;
  // Slurm may show each task a single GPU, as number 0.
  if (cudaGetDeviceCount(&visible) == cudaSuccess && id >= visible) {
    throw InputError(fmt::format("rank {} is to use GPU {} of its host but sees {}; every rank must see all GPUs of its host: under Slurm, "
                                 "ask for --gpus-per-node, not for --gpus-per-task or --gpu-bind",
                                 rendezvous.rank, id, visible));
  }
  return c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(id));
}

std::unique_ptr<Communicator> connect(const Rendezvous& rendezvous, const RunSpec& spec) {
  if (rendezvous.world_size != spec.ranks) {
    throw InputError(fmt::format("the spec asks for {} ranks but {} were started; start as many, or change ranks",
                                 spec.ranks, rendezvous.world_size));
  }
  return spec.ranks == 1 ? make_single_communicator() : make_c10d_communicator(rendezvous, device_of(rendezvous, spec));
}

ProgressSink progress_to_controller() {
  const char* fd_text = std::getenv("VALBENCH_PROGRESS_FD");
  const int fd = fd_text != nullptr ? std::atoi(fd_text) : -1;
  constexpr std::int64_t kInterval_ns = 200'000'000;
  return [fd, last_ns = std::int64_t{0}](int epoch, std::int64_t batch, std::int64_t batches, const char* phase) mutable {
    const std::int64_t now = now_ns();
    if (batch != 0 && batch != batches && now - last_ns < kInterval_ns) return;
    last_ns = now;
    const std::string line = fmt::format("epoch {} batch {} {} {}\n", epoch, batch, batches, phase);
    // A full or closed pipe must not stop the training.
    if (fd >= 0 && ::write(fd, line.data(), line.size()) < 0) return;
    if (fd < 0 && batch == batches) fmt::print("{}", line);
  };
}

namespace {

/// The folder `torch` of the LibTorch that this process has loaded.
std::string libtorch_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&at::get_num_threads), &info) == 0 || info.dli_fname == nullptr) return {};
  return std::filesystem::weakly_canonical(info.dli_fname).parent_path().parent_path().string();
}

std::string cuda_version(int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); }

}  // namespace

std::string versions_json() {
  nlohmann::json versions{{"valbench", VALBENCH_VERSION},
                          {"libtorch", TORCH_VERSION},
                          {"libtorch_folder", libtorch_folder()},
                          {"cuda_runtime", cuda_version(CUDART_VERSION)},
                          {"gpu_tracing_problem", probe_gpu_tracing()},
                          {"gpus", nlohmann::json::array()}};
  int nccl = 0, driver = 0, gpus = 0;
  if (ncclGetVersion(&nccl) == ncclSuccess) {
    versions["nccl"] = fmt::format("{}.{}.{}", nccl / 10000, nccl % 10000 / 100, nccl % 100);
  }
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) versions["cuda_driver"] = cuda_version(driver);
  const cudaError_t counted = cudaGetDeviceCount(&gpus);
  versions["gpu_problem"] = counted == cudaSuccess ? "" : cudaGetErrorString(counted);
  for (int i = 0; counted == cudaSuccess && i < gpus; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    versions["gpus"].push_back({{"name", properties.name},
                                {"memory_mib", properties.totalGlobalMem >> 20},
                                {"compute_capability", fmt::format("{}.{}", properties.major, properties.minor)}});
  }
  return versions.dump();
}

}  // namespace valbench
