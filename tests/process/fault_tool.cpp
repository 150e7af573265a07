// Faults for ranks, without a word of them in the product: an NVTX tool that hears of the phases of a run and does something to the rank
// when one begins. VALBENCH_FAULTS names a file with a line for each fault, `RUN RANK EPOCH PHASE KIND`: RUN is the run's folder, PHASE
// `start` (all ranks have met), `load` (this library is loaded) or a phase of trace/phase.h, KIND one of
//   kill    SIGKILL
//   stop    SIGSTOP
//   memory  the next tensor that the thread makes finds no memory
//   train   the training images lose their content
//   val     the validation images lose theirs
//   slow    50 ms at the beginning of each such phase, in every epoch
// Loaded by NVTX_INJECTION64_PATH; `load` and `memory` need LD_PRELOAD as well. When the first fault of a run has come, its time of
// CLOCK_REALTIME is the modification time of the file `fault` in the run's folder.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <nvtx3/nvToolsExt.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "tests/support/nvtx_tool.h"

namespace {

using namespace valbench::test;

namespace fs = std::filesystem;

/// The fault of this process, if it has one.
struct Fault {
  std::string phase, kind;
  int epoch = 0;
  fs::path run_folder;
};

thread_local bool no_memory = false;  // For the next tensor of this thread.

/// The folder of the run that this process is a rank of; empty for other programs.
fs::path run_folder() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  const std::string option = std::string(1, '\0') + "--spec" + '\0';
  const std::size_t at = all.find(option);
  return at == std::string::npos ? fs::path() : fs::path(all.c_str() + at + option.size()).parent_path();
}

Fault read_fault() {
  const char *file = std::getenv("VALBENCH_FAULTS"), *rank = std::getenv("RANK");
  const fs::path folder = run_folder();
  if (file == nullptr || rank == nullptr || folder.empty()) return {};
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string run, of_rank;
    Fault fault{.run_folder = folder};
    if (words >> run >> of_rank >> fault.epoch >> fault.phase >> fault.kind; run == folder.filename() && of_rank == rank) return fault;
  }
  return {};
}

const Fault& fault() {
  static const Fault of_process = read_fault();
  return of_process;
}

/// Also the sweep's `--resume`: what has come once does not come again.
bool comes_first() {
  const int fd = ::open((fault().run_folder / "fault").c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

void empty_images(const std::string& split) {
  const fs::path images = fault().run_folder.parent_path().parent_path() / "set/images" / split;
  for (const auto& entry : fs::directory_iterator(images)) fs::resize_file(entry.path(), 0);
}

void do_fault() {
  const std::string& kind = fault().kind;
  if (kind == "slow") {
    const timespec pause{0, 50'000'000};
    ::nanosleep(&pause, nullptr);
    return;
  }
  if (!comes_first()) return;
  if (kind == "kill") ::kill(::getpid(), SIGKILL);
  if (kind == "stop") ::kill(::getpid(), SIGSTOP);
  if (kind == "memory") no_memory = true;
  if (kind == "train" || kind == "val") empty_images(kind);
}

int epoch = 0;  // Of the main thread.

void range_begins(nvtxDomainHandle_t domain, const nvtxEventAttributes_t& event) {
  if (!ours(domain) || event.messageType != NVTX_MESSAGE_TYPE_REGISTERED) return;
  const char* name = text_of(event.message.registered);
  if (std::strcmp(name, "train.epoch") == 0) epoch = static_cast<int>(event.payload.llValue);
  if (fault().phase == name && (epoch == fault().epoch || fault().kind == "slow")) do_fault();
}

nvtxDomainHandle_t NVTX_API create_domain(const char* name) {
  if (fault().phase == "start" && std::strcmp(name, "valbench") == 0) do_fault();
  return name_domain(name);
}

nvtxRangeId_t NVTX_API start_range(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* event) {
  range_begins(domain, *event);
  return 1;
}

int NVTX_API push_range(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* event) {
  range_begins(domain, *event);
  return 0;
}

__attribute__((constructor)) void loaded() {
  if (fault().phase == "load") do_fault();
}

}  // namespace

// Where LibTorch takes the memory of tensors on CPUs from. oneDNN does so too, and is left out: it crashes when it gets none.
extern "C" __attribute__((visibility("default"))) int posix_memalign(void** memory, size_t alignment, size_t size) noexcept {
  using Function = int (*)(void**, size_t, size_t);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "posix_memalign"));
  Dl_info caller{};
  const bool tensor = no_memory && ::dladdr(__builtin_return_address(0), &caller) != 0 && std::strstr(caller.dli_fname, "libc10") != nullptr;
  if (!tensor) return real(memory, alignment, size);
  no_memory = false;
  return ENOMEM;
}

extern "C" __attribute__((visibility("default"))) int NVTX_API
InitializeInjectionNvtx2(NvtxGetExportTableFunc_t export_table) {
  NvtxCalls calls(export_table);
  calls.attach(NVTX_CBID_CORE2_DomainCreateA, create_domain);
  calls.attach(NVTX_CBID_CORE2_DomainRangeStartEx, start_range);
  calls.attach(NVTX_CBID_CORE2_DomainRangePushEx, push_range);
  return calls.code();
}
