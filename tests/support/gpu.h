/// \file
/// Whether this process can use a GPU. Needs torch_dep.
#pragma once
#include <cuda_runtime_api.h>

#include <string>

namespace valbench::test {

/// Why no GPU can be used, for VB_SKIP; empty when one can.
inline std::string no_gpu_here() {
  int gpus = 0;
  const cudaError_t result = cudaGetDeviceCount(&gpus);
  if (result != cudaSuccess) return std::string("needs a GPU: ") + cudaGetErrorString(result);
  return gpus == 0 ? "needs a GPU: none is there" : "";
}

}  // namespace valbench::test
