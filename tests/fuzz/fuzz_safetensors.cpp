// The safetensors reader, and the look at such a file (or at a zip) that the controller takes without LibTorch.
#include "detect/weights/safetensors.h"
#include "scenario/weights_file.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::read_or_refuse([&] {
    std::size_t bytes = 0;
    for (const auto& [name, tensor] : read_safetensors(file.path()).tensors) bytes += tensor.nbytes();
    fuzz::require(bytes <= size, "no more tensor bytes than the file has");
  });
  fuzz::read_or_refuse([&] { model_of_weights(file.path()); });
  fuzz::read_or_refuse([&] { reason_against_weights(file.path(), "yolov5n"); });
  return 0;
}
