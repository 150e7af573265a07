// The reader of data.yaml.
#include "data/yolo_dataset.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::read_or_refuse([&] {
    const DataConfig config = read_data_config(file.path());
    fuzz::require(!config.names.empty() && !config.train.empty() && !config.val.empty(), "names and splits");
  });
  return 0;
}
