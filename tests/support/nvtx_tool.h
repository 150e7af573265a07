/// \file
/// What the tests' NVTX tools share: how ranges of the domain `valbench` get to a tool that NVTX_INJECTION64_PATH names.
#pragma once
#include <nvtx3/nvToolsExt.h>

#include <cstring>

namespace valbench::test {

/// Handles are the texts themselves.
inline const char* text_of(const void* handle) { return static_cast<const char*>(handle); }
inline bool ours(nvtxDomainHandle_t domain) { return domain != nullptr && std::strcmp(text_of(domain), "valbench") == 0; }
inline nvtxDomainHandle_t NVTX_API name_domain(const char* name) { return reinterpret_cast<nvtxDomainHandle_t>(strdup(name)); }
inline nvtxStringHandle_t NVTX_API name_string(nvtxDomainHandle_t, const char* text) { return reinterpret_cast<nvtxStringHandle_t>(strdup(text)); }

/// NVTX's calls, each of which may be given a function of the tool's own.
class NvtxCalls {
 public:
  /// Of InitializeInjectionNvtx2.
  explicit NvtxCalls(NvtxGetExportTableFunc_t export_table) {
    const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(export_table(NVTX_ETID_CALLBACKS));
    known_ = callbacks != nullptr && callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table_, &size_) != 0;
    attach(NVTX_CBID_CORE2_DomainCreateA, name_domain);
    attach(NVTX_CBID_CORE2_DomainRegisterStringA, name_string);
  }
  template <typename Function>
  void attach(NvtxCallbackIdCore2 id, Function* function) {
    if (known_ && static_cast<unsigned>(id) < size_) *table_[id] = reinterpret_cast<NvtxFunctionPointer>(function);
  }
  /// What InitializeInjectionNvtx2 returns: 0 where NVTX is of another kind.
  int code() const { return known_ ? 1 : 0; }

 private:
  NvtxFunctionTable table_ = nullptr;
  unsigned size_ = 0;
  bool known_ = false;
};

}  // namespace valbench::test
