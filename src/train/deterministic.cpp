#include "train/deterministic.h"

#include <ATen/Context.h>
#include <ATen/Utils.h>
#include <stdlib.h>

namespace valbench {

void use_deterministic_algorithms(bool enabled) {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(enabled, /*warn_only=*/false);
  context.setDeterministicCuDNN(enabled);
  if (!enabled) return;
  context.setBenchmarkCuDNN(false);
  // Filling memory that is written anyway would only cost time.
  context.setDeterministicFillUninitializedMemory(false);
  // cuBLAS reads it when its first handle is made; torch insists on it.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
}

}  // namespace valbench
