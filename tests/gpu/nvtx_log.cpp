// An NVTX tool: loaded by NVTX_INJECTION64_PATH, it appends the ranges of the domain `valbench` to the file named by
// VALBENCH_NVTX_LOG, with `.` and the process id behind its name: `push NAME PAYLOAD`, `pop`, `start NAME PAYLOAD`,
// `end NAME`.
#include <nvtx3/nvToolsExt.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>


namespace {

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

/// Handles are the texts themselves.
const char* text_of(const void* handle) { return static_cast<const char*>(handle); }
bool ours(nvtxDomainHandle_t domain) { return domain != nullptr && std::strcmp(text_of(domain), "valbench") == 0; }

std::string describe(const nvtxEventAttributes_t& event) {
  const bool registered = event.messageType == NVTX_MESSAGE_TYPE_REGISTERED;
  return std::string(registered ? text_of(event.message.registered) : "unregistered") + " " +
         std::to_string(event.payload.llValue);
}

nvtxDomainHandle_t NVTX_API create_domain(const char* name) { return reinterpret_cast<nvtxDomainHandle_t>(strdup(name)); }

nvtxStringHandle_t NVTX_API register_string(nvtxDomainHandle_t, const char* text) {
  return reinterpret_cast<nvtxStringHandle_t>(strdup(text));
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

template <typename Function>
void attach(NvtxFunctionTable table, unsigned size, NvtxCallbackIdCore2 id, Function* function) {
  if (static_cast<unsigned>(id) < size) *table[id] = reinterpret_cast<NvtxFunctionPointer>(function);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int NVTX_API
InitializeInjectionNvtx2(NvtxGetExportTableFunc_t export_table) {
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(export_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (callbacks == nullptr || callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size) == 0) return 0;
  attach(table, size, NVTX_CBID_CORE2_DomainCreateA, create_domain);
  attach(table, size, NVTX_CBID_CORE2_DomainRegisterStringA, register_string);
  attach(table, size, NVTX_CBID_CORE2_DomainRangeStartEx, start_range);
  attach(table, size, NVTX_CBID_CORE2_DomainRangeEnd, end_range);
  attach(table, size, NVTX_CBID_CORE2_DomainRangePushEx, push_range);
  attach(table, size, NVTX_CBID_CORE2_DomainRangePop, pop_range);
  return 1;
}
