// An NVTX tool: loaded by NVTX_INJECTION64_PATH, it appends the ranges of the domain `valbench` to the file named by
// VALBENCH_NVTX_LOG, with `.` and the process id behind its name: `push NAME PAYLOAD`, `pop`, `start NAME PAYLOAD`,
// `end NAME`.
#include <nvtx3/nvToolsExt.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/nvtx_tool.h"

namespace {

using namespace valbench::test;

std::mutex mutex;
std::vector<std::string> open_ranges;

void write_line(const std::string& line) {
  static std::FILE* file = [] {
    const char* name = std::getenv("VALBENCH_NVTX_LOG");
    return name == nullptr ? nullptr : std::fopen((std::string(name) + "." + std::to_string(getpid())).c_str(), "a");
  }();
  if (file == nullptr) return;
  std::fputs((line + "\n").c_str(), file);
  std::fflush(file);  // The rank leaves through _exit().
}

std::string describe(const nvtxEventAttributes_t& event) {
  const bool registered = event.messageType == NVTX_MESSAGE_TYPE_REGISTERED;
  return std::string(registered ? text_of(event.message.registered) : "unregistered") + " " +
         std::to_string(event.payload.llValue);
}

nvtxRangeId_t NVTX_API start_range(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* event) {
  const std::lock_guard lock(mutex);
  open_ranges.push_back(ours(domain) ? describe(*event) : std::string());
  if (ours(domain)) write_line("start " + open_ranges.back());
  return open_ranges.size();
}

void NVTX_API end_range(nvtxDomainHandle_t domain, nvtxRangeId_t id) {
  const std::lock_guard lock(mutex);
  if (ours(domain) && id > 0 && id <= open_ranges.size()) write_line("end " + open_ranges[id - 1]);
}

int NVTX_API push_range(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* event) {
  const std::lock_guard lock(mutex);
  if (ours(domain)) write_line("push " + describe(*event));
  return 0;
}

int NVTX_API pop_range(nvtxDomainHandle_t domain) {
  const std::lock_guard lock(mutex);
  if (ours(domain)) write_line("pop");
  return 0;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int NVTX_API
InitializeInjectionNvtx2(NvtxGetExportTableFunc_t export_table) {
  NvtxCalls calls(export_table);
  calls.attach(NVTX_CBID_CORE2_DomainRangeStartEx, start_range);
  calls.attach(NVTX_CBID_CORE2_DomainRangeEnd, end_range);
  calls.attach(NVTX_CBID_CORE2_DomainRangePushEx, push_range);
  calls.attach(NVTX_CBID_CORE2_DomainRangePop, pop_range);
  return calls.code();
}
